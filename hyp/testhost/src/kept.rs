//! What a visit to the hypervisor must leave alone: registers and flags that hold known values around it.

use crate::vectors::parallax_stuck;

/// NZCV: N and C.
pub(crate) const FLAGS: u64 = 0b1010 << 28;

/// What register x`number` holds before.
pub(crate) const fn held(number: u64) -> u64 {
    0x4b45_5054_0000_0000 | number << 16 | !number & 0xffff
}

/// The test host has no answer to a register that changed: `registers` are x`first` and those behind it, now.
pub(crate) fn check(first: u64, registers: &[u64], flags: u64) {
    let same = registers.iter().zip(first..).all(|(value, number)| *value == held(number));
    if !same || flags != FLAGS {
        parallax_stuck();
    }
}
