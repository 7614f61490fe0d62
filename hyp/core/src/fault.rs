//! Asks whether a switchable fault is on. Without the `faults` feature the answer is a constant `false`.

pub use parallax_abi::fault::Fault;

#[cfg(feature = "faults")]
mod switch {
    use core::sync::atomic::{AtomicU64, Ordering};
    static ACTIVE: AtomicU64 = AtomicU64::new(0);

    /// Switches `fault` on, for the rest of the run.
    pub fn switch_on(fault: super::Fault) {
        ACTIVE.store(fault as u64, Ordering::Relaxed);
    }

    /// Whether `fault` is switched on.
    #[must_use]
    pub fn on(fault: super::Fault) -> bool {
        ACTIVE.load(Ordering::Relaxed) == fault as u64
    }

    /// What `fault` puts off: while it is on, each call gets what the one before it came with.
    pub fn late(fault: super::Fault, (address, size): (u64, u64)) -> Option<(u64, u64)> {
        static EARLIER: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
        if !on(fault) {
            return Some((address, size));
        }
        let earlier = (EARLIER[0].swap(address, Ordering::Relaxed), EARLIER[1].swap(size, Ordering::Relaxed));
        (earlier.1 != 0).then_some(earlier)
    }
}

#[cfg(not(feature = "faults"))]
mod switch {
    /// Whether `fault` is switched on: never, in this build.
    #[must_use]
    #[inline(always)]
    pub const fn on(_fault: super::Fault) -> bool {
        false
    }

    /// What `fault` puts off: nothing.
    #[inline(always)]
    pub const fn late(_fault: super::Fault, now: (u64, u64)) -> Option<(u64, u64)> {
        Some(now)
    }
}

pub use switch::*;
