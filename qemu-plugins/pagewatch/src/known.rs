//! Pages of virtual addresses that are known to be the hypervisor's own memory.
//!
//! A load is recorded only if it is of a device or of somebody else's memory, and to ask QEMU for each load what it is of is what costs most.
//! What is known is forgotten at every TLBI and every write to a translation register.

use std::sync::atomic::{AtomicU64, Ordering};

/// Pages that are remembered, each in the one place that its number says.
const PLACES: usize = 64;

/// The pages: numbers of pages plus 1, or 0.
pub(crate) struct Known([AtomicU64; PLACES]);

impl Default for Known {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; PLACES])
    }
}

impl Known {
    fn place(&self, address: u64) -> (&AtomicU64, u64) {
        let page = address >> 12;
        (&self.0[page as usize % PLACES], page + 1)
    }

    /// Whether the page of `address` is the hypervisor's memory.
    pub(crate) fn contains(&self, address: u64) -> bool {
        let (place, page) = self.place(address);
        place.load(Ordering::Relaxed) == page
    }

    /// It is.
    pub(crate) fn add(&self, address: u64) {
        let (place, page) = self.place(address);
        place.store(page, Ordering::Relaxed);
    }

    /// Nothing is known any more.
    pub(crate) fn forget(&self) {
        self.0.iter().for_each(|place| place.store(0, Ordering::Relaxed));
    }
}
