//! Memory of the host that the SMMU it sees uses: lent to the hypervisor and pinned while it does, without the host
//! having asked for either. Such pages can be neither donated nor taken back, and stay mapped at EL2.

use super::{El2Mmu, Hyp, pages};
use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::error::Error;
use crate::fault::{Fault, on};
use crate::hw::{Cpu, Memory};
use crate::page_state::State;
use crate::pgtable::attrs::El2Prot;
use crate::regions::Range;
use crate::smmu::SmmuTlb;
use spin::RelaxStrategy;

/// The ranges that are held; they may overlap. Command queue, event queue, stream table, a level-2 stream table.
pub(super) type Held = [Option<Range>; 4];

impl El2Mmu {
    /// How many of a page's pins are those of held ranges.
    pub(super) fn held(&self, page: PhysAddr) -> u64 {
        let page = Range { base: page, size: PAGE_SIZE };
        self.held.iter().flatten().filter(|range| range.contains(page)).count() as u64
    }
}

impl<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy> Hyp<H, S, R> {
    /// Lends and pins the pages of `range`.
    ///
    /// # Errors
    /// [`Error::Inval`] for a bad range, [`Error::Perm`] unless all is memory that the host owns exclusively or that
    /// is held already, [`Error::Busy`] when too much is held, [`Error::NoMem`].
    pub(crate) fn hold(&self, range: Range) -> Result<(), Error> {
        self.memory_range(range.base.pfn().0, range.size / PAGE_SIZE)?;
        let (_host, mut el2) = (self.host.lock(), self.el2.lock());
        for page in pages(range) {
            let state = self.pages.get(&self.hw, page);
            let owned = state.is(State::Owned, State::NoPage) && state.refcount() == 0;
            let held = state.is(State::SharedOwned, State::SharedBorrowed) && el2.held(page) != 0;
            if !(owned || held) || state.is_saturated() {
                return Err(Error::Perm);
            }
        }
        if el2.tables_needed(&self.hw, range) > el2.pool.free_pages() {
            return Err(Error::NoMem);
        }
        *el2.held.iter_mut().find(|slot| slot.is_none()).ok_or(Error::Busy)? = Some(range);
        for base in pages(range) {
            let state = self.pages.get(&self.hw, base);
            if state.refcount() == 0 {
                el2.set_linear(&self.hw, Range { base, size: PAGE_SIZE }, Some(El2Prot::Data))?;
            }
            if !on(Fault::EmulMemoryNotHeld) {
                let lent = state.with(State::SharedOwned, State::SharedBorrowed);
                self.pages.set(&self.hw, base, lent.with_refcount(state.refcount() + 1));
            }
        }
        Ok(())
    }

    /// Undoes [`Hyp::hold`] of the same range. Pages that nobody else pinned are the host's alone again.
    pub(crate) fn release(&self, range: Range) {
        if on(Fault::EmulHeldForever) {
            return;
        }
        let (_host, mut el2) = (self.host.lock(), self.el2.lock());
        let Some(slot) = el2.held.iter_mut().find(|slot| **slot == Some(range)) else { return };
        *slot = None;
        if on(Fault::EmulMemoryNotHeld) {
            return;
        }
        for base in pages(range) {
            let state = self.pages.get(&self.hw, base);
            let left = state.with_refcount(state.refcount() - 1);
            if left.refcount() != 0 {
                self.pages.set(&self.hw, base, left);
                continue;
            }
            // The page has an entry of its own in EL2's table, so no table is needed to clear it.
            let unmapped = el2.set_linear(&self.hw, Range { base, size: PAGE_SIZE }, None);
            debug_assert_eq!(unmapped, Ok(()));
            self.pages.set(&self.hw, base, left.with(State::Owned, State::NoPage));
        }
    }
}
