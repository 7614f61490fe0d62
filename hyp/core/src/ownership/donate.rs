//! Memory that changes hands for good: from the host to the hypervisor and back.

use super::transition::Transition;
use super::{Hyp, pages};
use crate::addr::PAGE_SIZE;
use crate::error::Error;
use crate::fault::{Fault, on};
use crate::hw::{Cpu, Memory};
use crate::idmap::Change;
use crate::page_state::State;
use crate::regions::{Kind, Range};
use crate::smmu::SmmuTlb;
use spin::RelaxStrategy;

impl<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy> Hyp<H, S, R> {
    /// The host gives `nr` pages from frame `pfn` on to the hypervisor. On return neither its CPUs nor its devices
    /// reach them, and EL2 has them mapped.
    ///
    /// # Errors
    /// [`Error::Inval`] for a bad range, [`Error::Perm`] unless all is memory that the host owns exclusively,
    /// [`Error::NoMem`].
    pub fn host_donate_hyp(&self, pfn: u64, nr: u64) -> Result<(), Error> {
        let range = self.memory_range(pfn, nr)?;
        let (mut host, mut el2) = (self.host.lock(), self.el2.lock());
        let judged = if on(Fault::HostDonateChecksFirstPageOnly) { 1 } else { usize::MAX };
        for base in pages(range).take(judged) {
            if !self.pages.get(&self.hw, base).is(State::Owned, State::NoPage) {
                return Err(Error::Perm);
            }
            if on(Fault::HostDonatePartial) {
                let content = host.content_after(Change::Lost, Kind::Memory);
                host.set(&self.hw, Range { base, size: PAGE_SIZE }, content)?;
            }
        }
        self.perform(&mut host, &mut el2, (range, Kind::Memory), Transition::HostDonateHyp)
    }

    /// The hypervisor gives `nr` pages from frame `pfn` on back to the host. EL2 no longer has them mapped.
    ///
    /// # Errors
    /// [`Error::Inval`] for a bad range, [`Error::Perm`] unless all is memory that the hypervisor owns,
    /// [`Error::Busy`] when a page is in use, which those of the image and the page pool always are,
    /// [`Error::NoMem`].
    pub fn hyp_donate_host(&self, pfn: u64, nr: u64) -> Result<(), Error> {
        let range = self.memory_range(pfn, nr)?;
        let (mut host, mut el2) = (self.host.lock(), self.el2.lock());
        for page in pages(range) {
            let state = self.pages.get(&self.hw, page);
            if !state.is(State::NoPage, State::Owned) {
                return Err(Error::Perm);
            }
            if state.refcount() != 0 && !on(Fault::HypDonateIgnoresReference) {
                return Err(Error::Busy);
            }
        }
        self.perform(&mut host, &mut el2, (range, Kind::Memory), Transition::HypDonateHost)
    }
}
