//! Memory that changes hands for good: from the host to the hypervisor and back.

use super::transition::Transition;
use super::{Hyp, pages};
use crate::error::Error;
use crate::faulty;
use crate::hw::{Cpu, Memory};
use crate::page_state::State;
use crate::regions::Kind;
use crate::smmu::SmmuTlb;
use spin::RelaxStrategy;

impl<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy> Hyp<H, S, R> {
    /// The host gives `nr` pages from frame `pfn` on to the hypervisor. On return neither its CPUs nor its devices
    /// reach them, and EL2 has them mapped.
    ///
    /// # Errors
    /// [`Error::Inval`] for a bad range, [`Error::Perm`] unless all is memory that the host owns exclusively,
    /// [`Error::NoMem`].
    #[inline(never)]
    pub fn host_donate_hyp(&self, pfn: u64, nr: u64) -> Result<(), Error> {
        self.give((pfn, nr), (State::Owned, State::NoPage), Transition::HostDonateHyp)
    }

    /// The hypervisor gives `nr` pages from frame `pfn` on back to the host. EL2 no longer has them mapped.
    ///
    /// # Errors
    /// [`Error::Inval`] for a bad range, [`Error::Perm`] unless all is memory that the hypervisor owns,
    /// [`Error::Busy`] when a page is in use, which those of the image and the page pool always are,
    /// [`Error::NoMem`].
    #[inline(never)]
    pub fn hyp_donate_host(&self, pfn: u64, nr: u64) -> Result<(), Error> {
        self.give((pfn, nr), (State::NoPage, State::Owned), Transition::HypDonateHost)
    }

    /// Takes `nr` pages from frame `pfn` on, which nobody uses, out of the states `from` (host's, hypervisor's).
    #[inline(always)]
    fn give(&self, (pfn, nr): (u64, u64), from: (State, State), transition: Transition) -> Result<(), Error> {
        let range = self.memory_range(pfn, nr)?;
        let (mut host, el2) = (self.host.lock(), self.el2.lock());
        for page in pages(range) {
            match faulty::judged(self.pages.get(&self.hw, page), transition, range, page) {
                state if !state.is(from.0, from.1) => return Err(Error::Perm),
                state if state.refcount() != 0 => return Err(Error::Busy),
                _ => faulty::may_donate(&self.hw, &mut host, page, transition)?,
            }
        }
        faulty::perform(self, (host, el2), (range, Kind::Memory), transition)
    }
}
