//! Who owns which page: the host's stage-2 table, EL2's own table, the page states and the SMMU, changed together.
//!
//! [`Hyp`] holds all of it behind locks that are always taken in this order: the host's SMMU, host, EL2, SMMU. Every operation
//! first checks everything that can fail and then makes changes that cannot, so that a refused operation has changed
//! nothing. What the host owns is changed in one place, `Hyp::change_host`, and that place tells the SMMU.
//!
//! [`boot::Boot`] builds a [`Hyp`]; the operations are in the other modules.

mod abort;
pub mod boot;
mod donate;
mod hold;
mod mmio;
mod share;

pub use abort::{AbortKind, HostAbort};

use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::error::Error;
use crate::fault::{Fault, on};
use crate::hw::{Cpu, Memory};
use crate::idmap::{Change, Idmap, host_attrs};
use crate::page_pool::PagePool;
use crate::page_state::{PageStates, State};
use crate::pgtable::attrs::El2Prot;
use crate::pgtable::invalidate::{El2Tlb, HostTlb};
use crate::pgtable::{Attrs, Content, Descriptor, Env, LAST_LEVEL, Level, Tree};
use crate::regions::{Kind, Range, Region, Regions};
use crate::smmu::SmmuTlb;
use crate::smmu::viommu::Viommu;
use spin::RelaxStrategy;
use spin::mutex::SpinMutex;

/// The host's stage-2 table.
#[derive(Debug)]
struct HostMmu {
    tree: Tree,
    pool: PagePool,
    /// The SMMU walks this table too: nothing that the host owns may be unmapped, and no table may be taken away.
    shared: bool,
    /// The lowest level (1 to 3) at which memory may be mapped.
    largest_memory: Level,
    /// The host runs: MMIO can no longer be donated.
    running: bool,
}

impl HostMmu {
    /// What the table holds for a range after `change`.
    fn content_after(&self, change: Change, kind: Kind) -> Content {
        let largest = if self.shared { LAST_LEVEL } else { 1 };
        match change {
            Change::Lost => Content::Invalid { value: Descriptor::OWNED_BY_HYP, largest },
            Change::Gained => Content::identity(host_attrs(kind), largest.max(self.largest(kind))),
        }
    }

    /// The lowest level at which `kind` may be mapped.
    fn largest(&self, kind: Kind) -> Level {
        if kind == Kind::Memory { self.largest_memory } else { 1 }
    }

    fn set<H: Memory + Cpu>(&mut self, hw: &H, range: Range, content: Content) -> Result<(), Error> {
        let mut env = Env { mem: hw, pool: &mut self.pool, tlb: &mut HostTlb(hw) };
        self.tree.set(&mut env, range.base.0, range.size, content)
    }
}

/// EL2's stage-1 table, and the pool that it shares with the SMMU's.
#[derive(Debug)]
struct El2Mmu {
    tree: Tree,
    pool: PagePool,
    linear_offset: u64,
    held: hold::Held,
}

impl El2Mmu {
    const fn content(&self, prot: Option<(Attrs, u64)>) -> Content {
        match prot {
            Some((attrs, offset)) => Content::Map { offset, attrs, largest: LAST_LEVEL },
            None => Content::Invalid { value: Descriptor::ZERO, largest: LAST_LEVEL },
        }
    }

    /// Maps `range` at its linear address, or unmaps it.
    fn set_linear<H: Memory + Cpu>(
        &mut self,
        hw: &H,
        range: Range,
        prot: Option<El2Prot>,
    ) -> Result<(), Error> {
        let content = self.content(prot.map(|prot| (Attrs::el2(prot), self.linear_offset.wrapping_neg())));
        let mut env = Env { mem: hw, pool: &mut self.pool, tlb: &mut El2Tlb(hw) };
        self.tree.set(&mut env, range.base.0 + self.linear_offset, range.size, content)
    }

    /// How many pages [`El2Mmu::set_linear`] may take to map or unmap `range`.
    fn tables_needed<M: Memory>(&self, mem: &M, range: Range) -> u64 {
        self.tree.tables_needed(mem, range.base.0 + self.linear_offset, range.size, self.content(None))
    }
}

/// The MMIO that the hypervisor itself uses.
type Devices = [Option<Range>; 8];

/// The hypervisor's state. `H` is the hardware, `S` the SMMU's driver, `R` what a CPU does while it waits for a lock.
#[derive(Debug)]
pub struct Hyp<H, S, R> {
    pub(crate) hw: H,
    regions: Regions,
    pages: PageStates,
    devices: Devices,
    host: SpinMutex<HostMmu, R>,
    el2: SpinMutex<El2Mmu, R>,
    smmu: SpinMutex<Option<Idmap<S>>, R>,
    /// The register frame that the host believes to be the SMMU's.
    pub(crate) viommu_frame: Option<Range>,
    pub(crate) viommu: SpinMutex<Viommu, R>,
}

impl<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy> Hyp<H, S, R> {
    /// How many pages the host's table has.
    pub fn host_table_pages(&self) -> u64 {
        let host = self.host.lock();
        host.pool.range().size / PAGE_SIZE - host.pool.free_pages()
    }

    /// Calls `f` with the SMMU's driver, under its lock; `None` without an SMMU.
    pub fn with_smmu<T>(&self, f: impl FnOnce(&mut S) -> T) -> Option<T> {
        self.smmu.lock().as_mut().map(|idmap| f(idmap.driver()))
    }

    /// Whether the host has an SMMU of its own, and with it the events.
    pub const fn has_viommu(&self) -> bool {
        self.viommu_frame.is_some()
    }

    /// Address of the host's SMMU's [`parallax_abi::smmu_host::HostSmmu`], for the harness; `None` when the host
    /// sees no SMMU.
    pub fn smmu_host_view(&self) -> Option<u64> {
        let viommu = self.viommu_frame.map(|_| self.viommu.lock())?;
        Some(core::ptr::from_ref(viommu.published()).addr() as u64)
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

    /// Makes sure that [`Hyp::change_host`] and a change of EL2's linear map of `range` cannot run out of pages.
    fn reserve(
        &self,
        host: &mut HostMmu,
        el2: &El2Mmu,
        (range, kind): (Range, Kind),
        change: Change,
    ) -> Result<(), Error> {
        let content = host.content_after(change, kind);
        self.reserve_host(host, range, content)?;
        let smmu =
            self.smmu.lock().as_ref().map_or(0, |idmap| idmap.tables_needed(&self.hw, range, kind, change));
        if smmu + el2.tables_needed(&self.hw, range) > el2.pool.free_pages() {
            return Err(Error::NoMem);
        }
        Ok(())
    }

    /// Makes sure that the host's table can take `content`; gives up the host's MMIO mappings when it must.
    fn reserve_host(&self, host: &mut HostMmu, range: Range, content: Content) -> Result<(), Error> {
        let needed = |host: &HostMmu| host.tree.tables_needed(&self.hw, range.base.0, range.size, content);
        if needed(host) > host.pool.free_pages() {
            self.recycle_mmio(host);
            if needed(host) > host.pool.free_pages() {
                return Err(Error::NoMem);
            }
        }
        Ok(())
    }

    /// Unmaps the host's MMIO, annotated entries excepted, to get table pages back. The host still owns it, so the
    /// SMMU is not told; in shared mode, where devices use these entries, nothing is done.
    fn recycle_mmio(&self, host: &mut HostMmu) {
        if host.shared {
            return;
        }
        for Region { range, .. } in self.regions.iter().filter(|region| region.kind == Kind::Mmio) {
            let mut env = Env { mem: &self.hw, pool: &mut host.pool, tlb: &mut HostTlb(&self.hw) };
            host.tree.reclaim(&mut env, range.base.0, range.size);
            if on(Fault::SmmuRecyclePropagated)
                && let Some(mut el2) = self.el2.try_lock()
                && let Some(idmap) = self.smmu.lock().as_mut()
            {
                idmap.host_changed(&self.hw, &mut el2.pool, *range, Kind::Mmio, Change::Lost).ok();
            }
        }
    }

    /// The one place that changes what the host owns: its table, the page states, and the SMMU by the one hook.
    /// `range` lies in one region of `kind`.
    fn change_host(
        &self,
        host: &mut HostMmu,
        el2: &mut El2Mmu,
        (range, kind): (Range, Kind),
        change: Change,
    ) -> Result<(), Error> {
        let donation = change == Change::Lost && kind == Kind::Memory;
        let mut mapped = range;
        if donation && on(Fault::HostDonateFirstPageOnly) {
            mapped.size = PAGE_SIZE;
        }
        if !(donation && on(Fault::HostDonateKeepsMapping)) {
            host.set(&self.hw, mapped, host.content_after(change, kind))?;
        }
        if kind == Kind::Memory {
            let (host_state, hyp_state) = match change {
                Change::Lost if on(Fault::HostDonateStateStale) => (State::Owned, State::Owned),
                Change::Lost => (State::NoPage, State::Owned),
                Change::Gained => (State::Owned, State::NoPage),
            };
            for page in pages(range) {
                let state = self.pages.get(&self.hw, page);
                self.pages.set(&self.hw, page, state.with(host_state, hyp_state));
            }
        }
        if change == Change::Gained && on(Fault::SmmuMapUnlocked) {
            let copy = self.smmu.lock().as_ref().and_then(|idmap| idmap.to_map(kind));
            if let Some((tree, content)) = copy {
                let mut env = Env { mem: &self.hw, pool: &mut el2.pool, tlb: &mut HostTlb(&self.hw) };
                tree.set(&mut env, range.base.0, range.size, content)?;
            }
        }
        match self.smmu.lock().as_mut() {
            Some(idmap) => idmap.host_changed(&self.hw, &mut el2.pool, range, kind, change),
            None => Ok(()),
        }
    }
}

/// The pages of a range.
fn pages(range: Range) -> impl Iterator<Item = PhysAddr> {
    (range.base.0..range.end()).step_by(PAGE_SIZE as usize).map(PhysAddr)
}
