//! Lent pages that the hypervisor uses: pin and unpin. While a page is pinned it cannot be taken back, and EL2 has it
//! mapped.

use super::transition::Transition;
use super::{Hyp, pages};
use crate::error::Error;
use crate::hw::{Cpu, Memory};
use crate::page_state::State;
use crate::regions::Kind;
use crate::smmu::SmmuTlb;
use spin::RelaxStrategy;

impl<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy> Hyp<H, S, R> {
    /// Pins `nr` lent pages from `pfn` on.
    ///
    /// # Errors
    /// [`Error::Inval`] for a bad range, [`Error::Perm`] unless all are lent, [`Error::Busy`] when one is pinned
    /// 65535 times, [`Error::NoMem`].
    #[inline(never)]
    pub fn hyp_pin_shared_mem(&self, pfn: u64, nr: u64) -> Result<(), Error> {
        let range = self.memory_range(pfn, nr)?;
        let (host, el2) = (self.host.lock(), self.el2.lock());
        for page in pages(range) {
            let state = self.pages.get(&self.hw, page);
            if !state.is(State::SharedOwned, State::SharedBorrowed) {
                return Err(Error::Perm);
            }
            if state.is_saturated() {
                return Err(Error::Busy);
            }
        }
        crate::faulty::perform(self, (host, el2), (range, Kind::Memory), Transition::Pin)
    }

    /// Undoes one pin of each of the `nr` pages from `pfn` on.
    ///
    /// # Errors
    /// [`Error::Inval`] for a bad range, [`Error::Perm`] unless all are lent and pinned, the pins of the host's SMMU not
    /// counted.
    #[inline(never)]
    pub fn hyp_unpin_shared_mem(&self, pfn: u64, nr: u64) -> Result<(), Error> {
        let range = self.memory_range(pfn, nr)?;
        let (host, el2) = (self.host.lock(), self.el2.lock());
        let pinned = |page| {
            let state = self.pages.get(&self.hw, page);
            state.is(State::SharedOwned, State::SharedBorrowed) && state.refcount() > el2.holds(page)
        };
        if !pages(range).all(pinned) {
            return Err(Error::Perm);
        }
        crate::faulty::perform(self, (host, el2), (range, Kind::Memory), Transition::Unpin)
    }
}
