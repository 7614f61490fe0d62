//! Which switchable fault is on. Only a build with the `faults` feature has any.

use crate::addr::{HypVa, Ipa};
use core::sync::atomic::{AtomicU64, Ordering};
pub use parallax_abi::fault::Fault;

static ACTIVE: AtomicU64 = AtomicU64::new(0);

/// Switches `fault` on, for the rest of the run.
pub fn switch_on(fault: Fault) {
    ACTIVE.store(fault as u64, Ordering::Relaxed);
}

/// Whether `fault` is switched on.
#[must_use]
pub fn on(fault: Fault) -> bool {
    ACTIVE.load(Ordering::Relaxed) == fault as u64
}

/// Instructions that reach the CPU that executes them and no other.
#[derive(Clone, Copy, Debug)]
pub enum Local {
    /// `dsb nsh`.
    DsbNsh,
    /// `tlbi ipas2e1`.
    TlbiIpas2e1(Ipa),
    /// `tlbi vmalle1`.
    TlbiVmalle1,
    /// `tlbi vae2`.
    TlbiVae2(HypVa),
}
