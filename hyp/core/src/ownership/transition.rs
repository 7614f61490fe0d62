//! The one place that says which change of a page does what to the tables that lead to it.
//!
//! | transition | page state: host, hypervisor, count | host's stage 2 | SMMU | EL2's stage 1 |
//! | --- | --- | --- | --- | --- |
//! | host_share_hyp | SHARED_OWNED, SHARED_BORROWED | | | |
//! | host_unshare_hyp | OWNED, NOPAGE | | | |
//! | pin | count + 1 | | | mapped when it was 0 |
//! | unpin | count - 1 | | | unmapped when it is 0 |
//! | hold_pages | SHARED_OWNED, SHARED_BORROWED, count + 1 | | | mapped when it was 0 |
//! | release_pages | count - 1; OWNED, NOPAGE when it is 0 | | | unmapped when it is 0 |
//! | host_donate_hyp | NOPAGE, OWNED | annotated | unmapped, invalidated | then mapped |
//! | hyp_donate_host | OWNED, NOPAGE | mapped | mapped | unmapped before |
//!
//! MMIO has no page states; its donations do the same to the tables. Whoever loses a page has lost it before the other
//! one gets it. What the host loses or gains goes from its own table to the page states and then to the SMMU.
//!
//! A guest is one more column, and what it is lent or given is one more row each: nothing of that stands elsewhere.

use super::smmu::SmmuMmu;
use super::{El2Mmu, HostMmu, Hyp, pages};
use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::error::Error;
use crate::faulty;
use crate::hw::{Cpu, Memory};
use crate::idmap::Change;
use crate::page_state::{PageState, State};
use crate::pgtable::{attrs::El2Prot, is_ample};
use crate::regions::{Kind, Range};
use crate::smmu::SmmuTlb;
use spin::RelaxStrategy;

/// A change of what the host and the hypervisor have of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transition {
    /// The host lends it.
    HostShareHyp,
    /// The host takes it back.
    HostUnshareHyp,
    /// It is lent, and used once more.
    Pin,
    /// It is lent, and used once less.
    Unpin,
    /// A device of the host's uses it once more; lent if it was not.
    Hold,
    /// A device of the host's uses it once less; the host's alone again after the last use.
    Release,
    /// From the host to the hypervisor for good.
    HostDonateHyp,
    /// From the hypervisor to the host for good.
    HypDonateHost,
}

impl Transition {
    /// What it makes of a page's state.
    fn page(self, old: PageState) -> PageState {
        let count = old.refcount();
        let new = match self {
            Self::HostShareHyp => old.with(State::SharedOwned, State::SharedBorrowed),
            Self::HostUnshareHyp => old.with(State::Owned, State::NoPage),
            Self::Pin => old.with_refcount(count + 1),
            Self::Hold => old.with(State::SharedOwned, State::SharedBorrowed).with_refcount(count + 1),
            Self::Release if count == 1 => old.with(State::Owned, State::NoPage).with_refcount(0),
            Self::Unpin | Self::Release => old.with_refcount(count - 1),
            Self::HostDonateHyp => old.with(State::NoPage, State::Owned),
            Self::HypDonateHost => old.with(State::Owned, State::NoPage),
        };
        faulty::page_state(new, self)
    }

    /// Whether it takes a page of EL2's table into use.
    const fn maps_el2(self) -> bool {
        matches!(self, Self::Pin | Self::Hold | Self::HostDonateHyp | Self::HypDonateHost)
    }

    /// What becomes of the host's ownership, which its table and the SMMU's tell.
    const fn of_host(self) -> Option<Change> {
        match self {
            Self::HostDonateHyp => Some(Change::Lost),
            Self::HypDonateHost => Some(Change::Gained),
            _ => None,
        }
    }
}

impl<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy> Hyp<H, S, R> {
    /// Performs `transition` for `range`, which lies in one region of `kind` and may make it.
    ///
    /// A copy for each transition: what the others ask is not looked at, sharing a page is some hundred instructions.
    ///
    /// # Errors
    /// [`Error::NoMem`]; nothing has changed.
    #[inline(always)]
    pub(crate) fn perform(
        &self,
        host: &mut HostMmu,
        el2: &mut El2Mmu,
        (range, kind): (Range, Kind),
        transition: Transition,
    ) -> Result<(), Error> {
        self.reserve(host, el2, (range, kind), transition)?;
        match transition.of_host() {
            None => {
                for page in pages(range) {
                    self.change_use(el2, page, transition)?;
                }
                Ok(())
            }
            Some(Change::Lost) => {
                self.change_host(host, el2, (range, kind), transition, Change::Lost)?;
                let prot = if kind == Kind::Memory { El2Prot::Data } else { El2Prot::Device };
                el2.set_linear(&self.hw, range, Some(prot))
            }
            Some(Change::Gained) => {
                el2.set_linear(&self.hw, range, faulty::left_at_el2(None, kind))?;
                self.change_host(host, el2, (range, kind), transition, Change::Gained)
            }
        }
    }

    /// Makes sure that the tables that `transition` changes cannot run out of pages. They are counted where the pool is not ample
    /// for the SMMU's and EL2's, which share it.
    fn reserve(
        &self,
        host: &mut HostMmu,
        el2: &El2Mmu,
        (range, kind): (Range, Kind),
        transition: Transition,
    ) -> Result<(), Error> {
        if let Some(change) = transition.of_host() {
            let content = host.content_after(change, kind);
            self.reserve_host(host, faulty::counted(range), content)?;
        }
        if !transition.maps_el2() || is_ample(el2.pool.free_pages(), range.size) {
            return Ok(());
        }
        let of_smmu = transition.of_host().map_or(0, |change| {
            let smmu = self.smmu.lock();
            smmu.as_ref().map_or(0, |smmu| smmu.idmap.tables_needed(&self.hw, range, kind, change))
        });
        let needed = of_smmu + el2.tables_needed(&self.hw, range);
        if needed > el2.pool.free_pages() { Err(Error::NoMem) } else { Ok(()) }
    }

    /// One page that stays the host's: EL2 has it mapped while its count is not 0.
    #[inline(always)]
    fn change_use(&self, el2: &mut El2Mmu, base: PhysAddr, transition: Transition) -> Result<(), Error> {
        let old = self.pages.get(&self.hw, base);
        let new = transition.page(old);
        let page = Range { base, size: PAGE_SIZE };
        match (old.refcount() != 0, new.refcount() != 0) {
            (false, true) => el2.set_linear(&self.hw, page, faulty::pinned(Some(El2Prot::Data)))?,
            // It has an entry of its own in EL2's table, so no table is needed to clear it.
            (true, false) => el2.set_linear(&self.hw, page, None)?,
            _ => {}
        }
        self.pages.set(&self.hw, base, new);
        Ok(())
    }

    /// What the host owns: its table, the page states, and the SMMU.
    fn change_host(
        &self,
        host: &mut HostMmu,
        el2: &mut El2Mmu,
        (range, kind): (Range, Kind),
        transition: Transition,
        change: Change,
    ) -> Result<(), Error> {
        host.set(&self.hw, faulty::changed_part(range, kind, change), host.content_after(change, kind))?;
        if kind == Kind::Memory {
            for page in pages(range) {
                let state = self.pages.get(&self.hw, page);
                self.pages.set(&self.hw, page, transition.page(state));
            }
        }
        faulty::before_smmu(self, el2, (range, kind), change)?;
        let mut smmu = self.smmu.lock();
        let Some(SmmuMmu { driver, idmap }) = smmu.as_mut() else { return Ok(()) };
        faulty::host_changed(idmap, &self.hw, driver, &mut el2.pool, (range, kind), change)
    }
}
