//! Pages that the host lends to the hypervisor: share and unshare.
//!
//! A lent page stays mapped for the host and its devices, and the hypervisor maps it only while it is pinned.

use super::Hyp;
use super::transition::Transition;
use crate::addr::{PAGE_SIZE, Pfn};
use crate::error::Error;
use crate::faulty;
use crate::hw::{Cpu, Memory};
use crate::page_state::State;
use crate::regions::{Kind, Range};
use crate::smmu::SmmuTlb;
use spin::RelaxStrategy;

impl<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy> Hyp<H, S, R> {
    /// The host lends the page frame `pfn` to the hypervisor.
    ///
    /// # Errors
    /// [`Error::Perm`] unless it is memory that the host owns exclusively.
    #[inline(never)]
    pub fn host_share_hyp(&self, pfn: u64) -> Result<(), Error> {
        self.lend(pfn, (State::Owned, State::NoPage), Transition::HostShareHyp)
    }

    /// The host takes the lent page frame `pfn` back.
    ///
    /// # Errors
    /// [`Error::Perm`] unless it is lent, [`Error::Busy`] while it is pinned.
    #[inline(never)]
    pub fn host_unshare_hyp(&self, pfn: u64) -> Result<(), Error> {
        self.lend(pfn, (State::SharedOwned, State::SharedBorrowed), Transition::HostUnshareHyp)
    }

    /// Takes one page out of the states `from` (host's, hypervisor's), unless it is pinned.
    #[inline(always)]
    fn lend(&self, pfn: u64, from: (State, State), transition: Transition) -> Result<(), Error> {
        let base = Pfn(pfn).phys().ok_or(Error::Perm)?;
        if self.regions.find(base).is_none_or(|region| region.kind != Kind::Memory) {
            return Err(Error::Perm);
        }
        let (host, el2) = (self.host.lock(), self.el2.lock());
        let page = Range { base, size: PAGE_SIZE };
        let state = faulty::judged(self.pages.get(&self.hw, base), transition, page, base);
        match state {
            _ if !state.is(from.0, from.1) => Err(Error::Perm),
            _ if state.refcount() != 0 => Err(Error::Busy),
            _ => faulty::perform(self, (host, el2), (page, Kind::Memory), transition),
        }
    }
}
