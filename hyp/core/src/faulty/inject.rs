//! What the host is told of an access that it did not get, and what it gets of one that the hypervisor performs for it.

use crate::fault::{Fault, on};

/// SPSR_ELx.M of EL1h.
const EL1H: u64 = 0b0101;

/// The vector that the host goes to, as an offset in bytes.
#[must_use]
#[inline(always)]
pub fn vector(right: u64) -> u64 {
    if on(Fault::AbortVectorWrong) { 0x200 } else { right }
}

/// SPSR_EL1.
#[must_use]
#[inline(always)]
pub fn spsr_el1(right: u64) -> u64 {
    if on(Fault::AbortSpsrWrong) { right | EL1H } else { right }
}

/// FAR_EL1.
#[must_use]
#[inline(always)]
pub fn far_el1(right: u64) -> u64 {
    if on(Fault::AbortFarLost) { right & !0xfff } else { right }
}

/// ESR_EL1.
#[must_use]
#[inline(always)]
pub fn esr_el1(right: u64) -> u64 {
    // WnR.
    if on(Fault::AbortWriteAsRead) { right & !(1 << 6) } else { right }
}

/// The syndrome by which a value that was read is extended.
#[must_use]
#[inline(always)]
pub fn load_syndrome(right: u64) -> u64 {
    // SSE.
    if on(Fault::EmulatedSignLost) { right & !(1 << 21) } else { right }
}

/// The number of the register of an access.
#[must_use]
#[inline(always)]
pub fn register(right: usize) -> usize {
    if on(Fault::EmulatedZeroRegister) { right.min(30) } else { right }
}
