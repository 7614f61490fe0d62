//! Which switchable fault is on. Only a build with the `faults` feature has any.

use crate::addr::{HypVa, Ipa};
pub use parallax_abi::fault::{Fault, on, switch_on};

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
