//! `hvc #0` and `smc #0`.

use core::arch::naked_asm;

use crate::board::Conduit;
use crate::kept::{Form, visit};
use crate::vectors::Trap;

/// Calls with x0..x6 = `x` and gives x0..x3 back (SMCCC: all else stays as it is).
///
/// # Errors
/// The exception, if the instruction is undefined here.
pub(crate) fn call(conduit: Conduit, x: [u64; 7]) -> Result<[u64; 4], Trap> {
    let conduit = match conduit {
        Conduit::Smc => smc,
        Conduit::Hvc => hvc,
    };
    visit(Form::at_el1(conduit, 4), &x)
}

#[unsafe(naked)]
unsafe extern "C" fn smc() {
    naked_asm!("smc #0", "svc #0")
}

#[unsafe(naked)]
unsafe extern "C" fn hvc() {
    naked_asm!("hvc #0", "svc #0")
}
