//! A host whose ITS and LPI tables are not judged as they must be.

use crate::error::Error;
use crate::fault::{Fault, on};
use crate::hw::{Cpu, Mmio};

/// Whether the memory of an ITT is held.
#[inline(always)]
pub(crate) fn itt_held(right: Result<(), Error>) -> Result<(), Error> {
    if on(Fault::ItsIttUnchecked) { Ok(()) } else { right }
}

/// Whether the memory of a pending table is held.
#[inline(always)]
pub(crate) fn pending_held(right: Result<(), Error>) -> Result<(), Error> {
    if on(Fault::GicrPendingUnchecked) { Ok(()) } else { right }
}

/// Comes after the host's write to GITS_BASER<n>.
#[inline(always)]
pub(crate) fn after_baser(regs: &impl Mmio, register: u64, value: u64) {
    if on(Fault::ItsBaserLetThrough) {
        regs.write64(register, value);
    }
    if on(Fault::ItsBaserInTwoSteps) {
        let [low, high] = [0, 4].map(|half| u64::from(regs.read32(register + half)));
        regs.write64(register, value);
        regs.write64(register, high << 32 | low);
    }
}

/// A command that the hardware gets.
#[inline(always)]
pub(crate) fn given([head, one, two, three]: [u64; 4]) -> [u64; 4] {
    const MOVI: u64 = 0x01;
    let is_moved = on(Fault::ItsMoviElsewhere) && head & 0xff == MOVI;
    [head, one, if is_moved { 0 } else { two }, three]
}

/// A command of the ITS's becomes visible to it.
#[inline(always)]
pub(crate) fn command_visible(cpu: &impl Cpu) {
    if !on(Fault::ItsCommandEarly) {
        cpu.dsb_sy();
    }
}

/// The redistributors that a SYNC is for.
#[inline(always)]
pub(crate) fn settled<const N: usize>(targets: [Option<u64>; N]) -> [Option<u64>; N] {
    if on(Fault::ItsIttNotSettled) { [None; N] } else { targets }
}

/// Whether a redistributor has left its LPI tables.
#[inline(always)]
pub(crate) fn are_off(right: impl FnOnce() -> bool) -> bool {
    on(Fault::GicrTablesReleasedEarly) || right()
}
