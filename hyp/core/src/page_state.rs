//! The page-state array (vmemmap): who owns each page frame of memory, and how often it is in use.
//!
//! The layout of an entry is [`parallax_abi::page`]. The array is written only under the locks of the host's and the
//! hypervisor's tables.

use crate::addr::{PAGE_SIZE, Pfn, PhysAddr};
use crate::hw::Memory;
use parallax_abi::page;

/// One party's relation to a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum State {
    /// Owned exclusively. May become [`State::SharedOwned`] (share) or [`State::NoPage`] (donate).
    Owned = page::OWNED,
    /// Owned, and lent to another party. Becomes [`State::Owned`] when it is taken back.
    SharedOwned = page::SHARED_OWNED,
    /// Lent by its owner. Becomes [`State::NoPage`] when the owner takes it back.
    SharedBorrowed = page::SHARED_BORROWED,
    /// No access. May become [`State::Owned`] (donation) or [`State::SharedBorrowed`] (share).
    NoPage = page::NOPAGE,
}

const BOTH: u64 = (page::HOST_STATE.1 << page::HOST_STATE.0) | (page::HYP_STATE.1 << page::HYP_STATE.0);

/// An entry of the array. Zero: the host owns the page, the hypervisor has no access, nobody refers to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct PageState(pub u64);

impl PageState {
    /// The two states' bits as they stand in an entry.
    const fn bits(host: State, hyp: State) -> u64 {
        ((host as u64) << page::HOST_STATE.0) | ((!(hyp as u64) & page::HYP_STATE.1) << page::HYP_STATE.0)
    }

    /// Whether the host's state is `host` and the hypervisor's `hyp`.
    #[must_use]
    pub const fn is(self, host: State, hyp: State) -> bool {
        self.0 & BOTH == Self::bits(host, hyp)
    }

    /// The same entry with other states.
    #[must_use]
    pub const fn with(self, host: State, hyp: State) -> Self {
        Self(self.0 & !BOTH | Self::bits(host, hyp))
    }

    /// How often the page is pinned or referred to, 0 to 65535.
    #[must_use]
    pub const fn refcount(self) -> u64 {
        (self.0 >> page::REFCOUNT.0) & page::REFCOUNT.1
    }

    /// The same entry with another count, of which the low 16 bits are kept.
    #[must_use]
    pub const fn with_refcount(self, count: u64) -> Self {
        Self(
            self.0 & !(page::REFCOUNT.1 << page::REFCOUNT.0) | (count & page::REFCOUNT.1) << page::REFCOUNT.0,
        )
    }

    /// Whether one reference more cannot be counted.
    #[must_use]
    pub const fn is_saturated(self) -> bool {
        self.refcount() == page::REFCOUNT.1
    }
}

/// Where the array is, and which frames it describes.
#[derive(Clone, Copy, Debug)]
pub struct PageStates {
    base: PhysAddr,
    first: Pfn,
    nr: u64,
}

impl PageStates {
    /// An array at `base` for `nr` frames from `first` on. The memory must be zero and large enough.
    #[must_use]
    pub const fn new(base: PhysAddr, first: Pfn, nr: u64) -> Self {
        Self { base, first, nr }
    }

    /// How many pages an array for `nr` frames takes.
    #[must_use]
    pub const fn pages_for(nr: u64) -> u64 {
        nr.saturating_mul(8).div_ceil(PAGE_SIZE)
    }

    /// Physical address of the first entry.
    #[must_use]
    pub const fn base(&self) -> PhysAddr {
        self.base
    }

    /// The frame of the first entry.
    #[must_use]
    pub const fn first(&self) -> Pfn {
        self.first
    }

    /// How many entries there are.
    #[must_use]
    pub const fn nr(&self) -> u64 {
        self.nr
    }

    fn slot(&self, pa: PhysAddr) -> Option<PhysAddr> {
        let index = pa.pfn().0.wrapping_sub(self.first.0);
        (index < self.nr).then(|| self.base.add(index * 8))
    }

    /// The state of the page that holds `pa`. Frames outside of the array belong to nobody: NOPAGE for both.
    pub fn get<M: Memory>(&self, mem: &M, pa: PhysAddr) -> PageState {
        match self.slot(pa) {
            Some(slot) => PageState(mem.read(slot)),
            None => PageState::default().with(State::NoPage, State::NoPage),
        }
    }

    /// Sets the state of the page that holds `pa`. Nothing happens for frames outside of the array.
    pub fn set<M: Memory>(&self, mem: &M, pa: PhysAddr, state: PageState) {
        if let Some(slot) = self.slot(pa) {
            mem.write(slot, state.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zeroed_entry_is_the_hosts() {
        assert!(PageState(0).is(State::Owned, State::NoPage));
        assert!(!PageState(0).is(State::Owned, State::Owned));
        assert_eq!(PageState(0).refcount(), 0);
    }

    #[test]
    fn states_and_count_do_not_disturb_each_other() {
        let state = PageState(0).with_refcount(0xffff).with(State::NoPage, State::Owned);
        assert_eq!(state.0, 0x3300_ffff);
        assert!(state.is_saturated());
        assert!(state.with_refcount(0).is(State::NoPage, State::Owned));
    }
}
