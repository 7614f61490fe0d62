//! Who owns which page: the host's stage-2 table, EL2's own table, the page states and the SMMU, changed together.
//!
//! [`Hyp`] holds all of it behind locks that are always taken in this order: the host's SMMU or ITS, host, EL2, SMMU. Every
//! operation first checks everything that can fail and then names a transition that cannot, so that a refused operation
//! has changed nothing.
//!
//! | module | what for |
//! | --- | --- |
//! | `transition` | the one place that says which change of a page does what to each table |
//! | `share`, `pin`, `donate`, `mmio` | the hypercalls: what each asks of the pages |
//! | `hold` | what the host's SMMU and ITS use: shared and pinned |
//! | `viommu` | accesses to the host's SMMU, and what it needs of the hypervisor |
//! | `abort` | what the host gets mapped when it touches it |
//! | `host`, `el2`, `smmu` | the three tables |
//! | [`boot`] | how a [`Hyp`] comes to be |

mod abort;
pub mod boot;
mod donate;
mod el2;
mod hold;
mod host;
mod mmio;
mod pin;
mod share;
mod smmu;
mod transition;
mod viommu;

use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::error::Error;
use crate::hw::{Cpu, Memory};
use crate::page_pool::PagePool;
use crate::page_state::PageStates;
use crate::regions::{Kind, Range, Regions};
use crate::smmu::SmmuTlb;
use crate::smmu::viommu::Viommu;
pub(crate) use el2::El2Mmu;
pub(crate) use host::HostMmu;
use smmu::{Driver, SmmuMmu};
use spin::RelaxStrategy;
use spin::mutex::SpinMutex;
pub(crate) use transition::Transition;

/// The MMIO that the hypervisor itself uses.
type Devices = [Option<Range>; 16];

/// The hypervisor's state. `H` is the hardware, `S` the SMMU's driver, `R` what a CPU does while it waits for a lock.
#[derive(Debug)]
pub struct Hyp<H, S, R> {
    pub(crate) hw: H,
    regions: Regions,
    pub(crate) pages: PageStates,
    devices: Devices,
    pub(crate) host: SpinMutex<HostMmu, R>,
    pub(crate) el2: SpinMutex<El2Mmu, R>,
    pub(crate) smmu: SpinMutex<Option<SmmuMmu<S>>, R>,
    /// The register frame that the host believes to be the SMMU's.
    pub(crate) viommu_frame: Option<Range>,
    pub(crate) viommu: SpinMutex<Viommu, R>,
}

impl<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy> Hyp<H, S, R> {
    /// Calls `f` with the SMMU's driver, under its lock; `None` without an SMMU.
    pub fn with_smmu<T>(&self, f: impl FnOnce(&mut S) -> T) -> Option<T> {
        self.smmu.lock().as_mut().map(|smmu| f(&mut smmu.driver))
    }

    /// Locks the SMMU's driver. There must be an SMMU.
    pub(crate) fn driver(&self) -> Driver<'_, S> {
        Driver(self.smmu.lock())
    }

    /// Address of the host's SMMU's [`parallax_abi::smmu_host::HostSmmu`], for the harness; `None` when the host
    /// sees no SMMU.
    pub fn smmu_host_view(&self) -> Option<u64> {
        let viommu = self.viommu_frame.map(|_| self.viommu.lock())?;
        Some(core::ptr::from_ref(viommu.published()).addr() as u64)
    }

    /// What `f` says of the pool of the host's table, and of that of EL2's and the SMMU's.
    pub fn pools<T>(&self, f: impl Fn(&PagePool) -> T) -> [T; 2] {
        [f(&self.host.lock().pool), f(&self.el2.lock().pool)]
    }

    /// The frames `pfn` to `pfn + nr - 1` as a range in one region.
    ///
    /// # Errors
    /// [`Error::Inval`] when it is empty, endless or crosses a region's border, [`Error::Perm`] when no address is
    /// that high.
    fn range(&self, pfn: u64, nr: u64) -> Result<(Range, Kind), Error> {
        const LIMIT: u64 = 1 << 40;
        if nr == 0 || nr > LIMIT {
            return Err(Error::Inval);
        }
        if pfn >= LIMIT {
            return Err(Error::Perm);
        }
        let range = Range { base: PhysAddr(pfn * PAGE_SIZE), size: nr * PAGE_SIZE };
        let region = self.regions.find(range.base).ok_or(Error::Perm)?;
        if !region.range.contains(range) {
            return Err(Error::Inval);
        }
        Ok((range, region.kind))
    }

    /// As `Hyp::range`, for memory.
    ///
    /// # Errors
    /// As `Hyp::range`, and [`Error::Perm`] when it is not memory.
    fn memory_range(&self, pfn: u64, nr: u64) -> Result<Range, Error> {
        match self.range(pfn, nr)? {
            (range, Kind::Memory) => Ok(range),
            _ => Err(Error::Perm),
        }
    }
}

/// The pages of a range.
fn pages(range: Range) -> impl Iterator<Item = PhysAddr> {
    (0..range.size / PAGE_SIZE).map(move |index| PhysAddr(range.base.0 + index * PAGE_SIZE))
}
