//! Tables and queues of the SMMU that are not where they should be, or are read with other attributes than they are written.

use crate::addr::PhysAddr;
use crate::fault::{Fault, on};
use crate::smmu::viommu::Ring;

/// From a queue's memory to other memory of the page pool.
const ELSEWHERE: u64 = 0x18_0000;
/// Bytes of a command.
const COMMAND: u64 = 16;
/// LOG2SIZE of a queue's base register.
const LOG2SIZE: u64 = 0x1f;

/// STRTAB_BASE.
#[inline(always)]
pub(crate) fn strtab_base(right: u64) -> u64 {
    if on(Fault::SmmuStrtabMisaligned) { right | 1 << 6 } else { right }
}

/// EVENTQ_BASE.
#[inline(always)]
pub(crate) fn evtq_base(right: u64) -> u64 {
    match right {
        _ if on(Fault::SmmuEvtqMisaligned) => right | 1 << 5,
        _ if on(Fault::SmmuEvtqElsewhere) => right + ELSEWHERE,
        _ => right,
    }
}

/// The command queue.
#[inline(always)]
pub(crate) fn cmdq_ring(right: Ring) -> Ring {
    let moved = match right.slot(0) {
        base if on(Fault::SmmuCmdqMisaligned) => base.add(1 << 6),
        base if on(Fault::SmmuCmdqElsewhere) => base.add(ELSEWHERE),
        _ => return right,
    };
    Ring::aligned(PhysAddr(moved.0), (right.base_register() & LOG2SIZE) as u32, COMMAND)
}

/// CR1: what tables and queues are read and written with.
#[inline(always)]
pub(crate) fn cr1(right: u32) -> u32 {
    if on(Fault::SmmuWalksNonCacheable) { 0 } else { right }
}
