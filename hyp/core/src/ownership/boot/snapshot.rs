//! What the tables hold when the host starts: whose each page is, and what the SMMU has mapped.

use super::BootError;
use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::error::Error;
use crate::faulty;
use crate::hw::{Cpu, Memory};
use crate::idmap::{Change, host_attrs, piece};
use crate::ownership::{El2Mmu, HostMmu, Hyp, pages};
use crate::page_state::{PageState, State};
use crate::pgtable::Content;
use crate::regions::{Kind, Range, Region};
use crate::smmu::SmmuTlb;
use spin::RelaxStrategy;

impl<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy> Hyp<H, S, R> {
    /// `range` is the hypervisor's for good: annotated in the host's table, and referred to.
    pub(super) fn fix_host_ownership(&self, host: &mut HostMmu, range: Range) -> Result<(), BootError> {
        self.annotate(host, faulty::annotated(range, host))?;
        let state = PageState::default().with(State::NoPage, State::Owned).with_refcount(1);
        pages(range).for_each(|page| self.pages.set(&self.hw, page, state));
        Ok(())
    }

    /// Says in the host's table that `range` is the hypervisor's.
    pub(super) fn annotate(&self, host: &mut HostMmu, range: Range) -> Result<(), BootError> {
        let content = host.content_after(Change::Lost, Kind::Memory);
        host.set(&self.hw, range, content).map_err(|_| BootError::NoMem("the host's table"))
    }

    /// The host gives the MMIO of `range` on to the hypervisor.
    pub(super) fn donate_mmio(
        &self,
        host: &mut HostMmu,
        el2: &mut El2Mmu,
        range: Range,
    ) -> Result<(), BootError> {
        let refused = |error| BootError::Mmio(range.base, error);
        let (range, kind) = self.range(range.base.pfn().0, range.size / PAGE_SIZE).map_err(refused)?;
        if kind != Kind::Mmio {
            return Err(refused(Error::Inval));
        }
        self.host_donate_hyp_mmio_locked(host, el2, range).map_err(refused)
    }

    /// Completes the host's table in shared mode, and the SMMU's in shadow mode.
    pub(crate) fn snapshot(&self, host: &mut HostMmu, el2: &mut El2Mmu) -> Result<(), BootError> {
        if host.shared {
            self.populate(host).map_err(|_| BootError::NoMem("the host's table"))?;
        }
        match self.smmu.lock().as_mut() {
            Some(smmu) => smmu
                .idmap
                .snapshot(&self.hw, &mut smmu.driver, &mut el2.pool, &self.regions, &host.tree)
                .map_err(|_| BootError::NoMem("the SMMU's table")),
            None => Ok(()),
        }
    }

    /// Maps all that the host owns in its own table.
    fn populate(&self, host: &mut HostMmu) -> Result<(), Error> {
        for Region { range, kind } in self.regions.iter() {
            let (mut ia, end) = (range.base.0, range.end());
            while ia < end {
                let (entry, next) = piece(&self.hw, &host.tree, ia, end);
                if !entry.is_annotated() {
                    let content = Content::identity(host_attrs(*kind), host.largest(*kind));
                    host.set(&self.hw, Range { base: PhysAddr(ia), size: next - ia }, content)?;
                }
                ia = next;
            }
        }
        Ok(())
    }
}
