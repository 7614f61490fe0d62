//! Pages that the host lends to the hypervisor: share, unshare, pin, unpin.
//!
//! A lent page stays mapped for the host and its devices, so neither table changes. The hypervisor maps it for itself
//! only while it is pinned.

use super::{Hyp, pages};
use crate::addr::Pfn;
use crate::error::Error;
use crate::fault::{Fault, on};
use crate::hw::{Cpu, Memory};
use crate::page_state::State;
use crate::pgtable::attrs::El2Prot;
use crate::regions::{Kind, Range};
use crate::smmu::SmmuTlb;
use spin::RelaxStrategy;

impl<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy> Hyp<H, S, R> {
    /// The host lends the page frame `pfn` to the hypervisor.
    ///
    /// # Errors
    /// [`Error::Perm`] unless it is memory that the host owns exclusively.
    #[inline]
    pub fn host_share_hyp(&self, pfn: u64) -> Result<(), Error> {
        self.lend(pfn, (State::Owned, State::NoPage), (State::SharedOwned, State::SharedBorrowed))
    }

    /// The host takes the lent page frame `pfn` back.
    ///
    /// # Errors
    /// [`Error::Perm`] unless it is lent, [`Error::Busy`] while it is pinned.
    #[inline]
    pub fn host_unshare_hyp(&self, pfn: u64) -> Result<(), Error> {
        self.lend(pfn, (State::SharedOwned, State::SharedBorrowed), (State::Owned, State::NoPage))
    }

    /// Takes one page from the states `from` (host's, hypervisor's) to `to`, unless it is pinned.
    #[inline]
    fn lend(&self, pfn: u64, from: (State, State), to: (State, State)) -> Result<(), Error> {
        let page = Pfn(pfn).phys().ok_or(Error::Perm)?;
        if self.regions.find(page).is_none_or(|region| region.kind != Kind::Memory) {
            return Err(Error::Perm);
        }
        let _locks = (self.host.lock(), self.el2.lock());
        let state = self.pages.get(&self.hw, page);
        let unchecked = to.0 == State::SharedOwned && on(Fault::HostShareUnchecked);
        if !state.is(from.0, from.1) && !unchecked {
            return Err(Error::Perm);
        }
        if state.refcount() != 0 && !unchecked && !on(Fault::HostUnshareIgnoresPin) {
            return Err(Error::Busy);
        }
        self.pages.set(&self.hw, page, state.with(to.0, to.1));
        Ok(())
    }

    /// Pins `nr` lent pages from `pfn` on: they cannot be taken back, and the hypervisor has them mapped.
    ///
    /// # Errors
    /// [`Error::Inval`] for a bad range, [`Error::Perm`] unless all are lent, [`Error::Busy`] when one is pinned
    /// 65535 times, [`Error::NoMem`].
    pub fn hyp_pin_shared_mem(&self, pfn: u64, nr: u64) -> Result<(), Error> {
        let range = self.memory_range(pfn, nr)?;
        let (_host, mut el2) = (self.host.lock(), self.el2.lock());
        for page in pages(range) {
            let state = self.pages.get(&self.hw, page);
            if !state.is(State::SharedOwned, State::SharedBorrowed) {
                return Err(Error::Perm);
            }
            if state.is_saturated() {
                return Err(Error::Busy);
            }
        }
        if el2.tables_needed(&self.hw, range) > el2.pool.free_pages() {
            return Err(Error::NoMem);
        }
        for base in pages(range) {
            let state = self.pages.get(&self.hw, base);
            if state.refcount() == 0 {
                let page = Range { base, size: crate::addr::PAGE_SIZE };
                el2.set_linear(&self.hw, page, Some(El2Prot::Data))?;
            }
            self.pages.set(&self.hw, base, state.with_refcount(state.refcount() + 1));
        }
        Ok(())
    }

    /// Undoes one pin of each of the `nr` pages from `pfn` on.
    ///
    /// # Errors
    /// [`Error::Inval`] for a bad range, [`Error::Perm`] unless all are lent and pinned, the pins of the host's SMMU not
    /// counted.
    pub fn hyp_unpin_shared_mem(&self, pfn: u64, nr: u64) -> Result<(), Error> {
        let range = self.memory_range(pfn, nr)?;
        let (_host, mut el2) = (self.host.lock(), self.el2.lock());
        let pinned = |page| {
            let state = self.pages.get(&self.hw, page);
            state.is(State::SharedOwned, State::SharedBorrowed) && state.refcount() > el2.held(page)
        };
        if !pages(range).all(pinned) {
            return Err(Error::Perm);
        }
        for base in pages(range) {
            let state = self.pages.get(&self.hw, base);
            if state.refcount() == 1 {
                el2.set_linear(&self.hw, Range { base, size: crate::addr::PAGE_SIZE }, None)?;
            }
            self.pages.set(&self.hw, base, state.with_refcount(state.refcount() - 1));
        }
        Ok(())
    }
}
