//! Leaves with wrong attributes, and what EL2 needs to live with one.

use crate::fault::{Fault, on};
use crate::pgtable::attrs::El2Prot;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Attributes of the host's memory, in place of the right ones.
#[inline(always)]
pub(crate) fn host_memory(attrs: u64) -> u64 {
    // MemAttr: Device-nGnRE.
    if on(Fault::HostMemoryDevice) { attrs & !(0b1111 << 2) | 0b0001 << 2 } else { attrs }
}

/// Attributes of the host's MMIO.
#[inline(always)]
pub(crate) fn host_mmio(attrs: u64) -> u64 {
    // XN.
    if on(Fault::HostMmioExecutable) { attrs & !(0b11 << 53) } else { attrs }
}

/// Attributes of EL2's own leaves.
#[inline(always)]
pub(crate) fn el2_leaf(attrs: u64, prot: El2Prot) -> u64 {
    match prot {
        // AP[2]: read-only.
        El2Prot::Text if on(Fault::El2TextWritable) => attrs & !(1 << 7),
        El2Prot::Rodata if on(Fault::El2RodataWritable) => attrs & !(1 << 7),
        // SH.
        El2Prot::Data if on(Fault::El2DataNotShareable) => attrs & !(0b11 << 8),
        _ => attrs,
    }
}

/// SCTLR_EL2: with WXN, EL2 would stop at once where its text is writable, instead of running with the fault.
#[must_use]
#[inline(always)]
pub fn sctlr_el2(value: u64) -> u64 {
    match value {
        _ if on(Fault::El2TextWritable) => value & !(1 << 19),
        // EIS and EOS.
        _ if on(Fault::El2EntryUnsynchronised) => value & !(1 << 22 | 1 << 11),
        _ => value,
    }
}

/// VTTBR_EL2, which has a bit set below the root's size.
#[must_use]
#[inline(always)]
pub fn vttbr_el2(value: u64) -> u64 {
    if on(Fault::Stage2RootsMisaligned) { value | 1 << 11 } else { value }
}

/// A CPU's stacks within its slot: the emergency stack, which comes second, may begin where the other one ends.
#[must_use]
#[inline(always)]
pub fn stacks([stack, emergency]: [Range<u64>; 2]) -> [Range<u64>; 2] {
    let start = if on(Fault::El2StacksTouch) { stack.end } else { emergency.start };
    [stack, start..emergency.end]
}

/// HCR_EL2 of CPU `cpu`, when that comes up.
#[must_use]
#[inline(always)]
pub fn hcr_el2(value: u64, cpu: usize) -> u64 {
    static STARTED: AtomicU64 = AtomicU64::new(0);
    let this = 1 << cpu.min(63);
    let returns = STARTED.fetch_or(this, Relaxed) & this != 0;
    let untrapped =
        cpu != 0 && on(Fault::SecondCpuSmcUntrapped) || returns && on(Fault::ReturnedCpuSmcUntrapped);
    // TSC.
    if untrapped { value & !(1 << 19) } else { value }
}
