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
}

#[cfg(not(feature = "faults"))]
mod switch {
    /// Whether `fault` is switched on: never, in this build.
    #[must_use]
    #[inline(always)]
    pub const fn on(_fault: super::Fault) -> bool {
        false
    }
}

pub use switch::*;
