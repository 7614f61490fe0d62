//! Memory of the host that the SMMU, the ITS or a redistributor that it sees uses: lent to the hypervisor and pinned
//! meanwhile, without the host having asked for either. Such pages can be neither donated nor taken back, and stay mapped at EL2.

use super::transition::Transition;
use super::{El2Mmu, Hyp, pages};
use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::error::Error;
use crate::hw::{Cpu, Memory};
use crate::its::{self, MAX_DEVICES, MAX_REDISTRIBUTORS};
use crate::page_state::State;
use crate::regions::{Kind, Range};
use crate::smmu::SmmuTlb;
use spin::RelaxStrategy;

/// The SMMU's command queue, event queue, stream table and a level-2 stream table.
const OF_THE_SMMU: usize = 4;
/// The ITS's command queue, the ITT of each device, and the next one of a device that has one.
const OF_THE_ITS: usize = 1 + MAX_DEVICES + 1;
/// The two LPI tables of each redistributor.
const OF_REDISTRIBUTORS: usize = 2 * MAX_REDISTRIBUTORS;
/// So many that no user is ever short of them because of another.
const MOST: usize = OF_THE_SMMU + OF_THE_ITS + OF_REDISTRIBUTORS;
/// The ranges that are held, without gaps: behind them are `None` only. They may overlap.
pub(crate) type Held = [Option<Range>; MOST];
/// None of them.
pub(super) const NONE: Held = [None; MOST];

impl El2Mmu {
    /// How many of a page's pins are those of such ranges.
    pub(super) fn holds(&self, page: PhysAddr) -> u64 {
        let page = Range { base: page, size: PAGE_SIZE };
        self.held.iter().map_while(|range| *range).filter(|range| range.contains(page)).count() as u64
    }
}

impl<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy> Hyp<H, S, R> {
    /// Shares the pages of `range` and pins them.
    ///
    /// # Errors
    /// [`Error::Inval`] for a bad range, [`Error::Perm`] unless all is memory that the host owns exclusively or that
    /// is shared so already, [`Error::Busy`] when there are too many ranges, [`Error::NoMem`].
    pub(crate) fn hold_pages(&self, range: Range) -> Result<(), Error> {
        self.memory_range(range.base.pfn().0, range.size / PAGE_SIZE)?;
        let (mut host, mut el2) = (self.host.lock(), self.el2.lock());
        for page in pages(range) {
            let state = self.pages.get(&self.hw, page);
            let owned = state.is(State::Owned, State::NoPage) && state.refcount() == 0;
            let shared = state.is(State::SharedOwned, State::SharedBorrowed) && el2.holds(page) != 0;
            if !(owned || shared) || state.is_saturated() {
                return Err(Error::Perm);
            }
        }
        let slot = el2.held.iter().position(Option::is_none).ok_or(Error::Busy)?;
        self.perform(&mut host, &mut el2, (range, Kind::Memory), Transition::Hold)?;
        el2.held[slot] = Some(range);
        Ok(())
    }

    /// Undoes [`Hyp::hold_pages`] of the same range. Pages that nobody else pinned are the host's alone again.
    pub(crate) fn release_pages(&self, range: Range) {
        let (mut host, mut el2) = (self.host.lock(), self.el2.lock());
        let Some(index) = el2.held.iter().position(|slot| *slot == Some(range)) else { return };
        el2.held[index] = None;
        el2.held[index..].rotate_left(1);
        let unshared = self.perform(&mut host, &mut el2, (range, Kind::Memory), Transition::Release);
        debug_assert_eq!(unshared, Ok(()));
    }
}

impl<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy> its::Env for &Hyp<H, S, R> {
    fn hold(&mut self, range: Range) -> Result<(), Error> {
        self.hold_pages(range)
    }

    fn release(&mut self, range: Range) {
        self.release_pages(range);
    }

    fn read(&self, pa: PhysAddr) -> u64 {
        self.hw.read(pa)
    }
}
