//! `hvc #0` and `smc #0`.

use core::arch::asm;

use crate::board::Conduit;
use crate::kept::{self, FLAGS, held};
use crate::vectors::{Trap, guarded_call, parallax_stuck};

/// Calls with x0..x6 = `x` and gives x0..x3 back.
///
/// # Errors
/// The exception, if the instruction is undefined here.
pub(crate) fn call(conduit: Conduit, mut x: [u64; 7]) -> Result<[u64; 4], Trap> {
    let callee = match conduit {
        Conduit::Smc => smc,
        Conduit::Hvc => hvc,
    };
    // SAFETY: `smc` and `hvc` own nothing; `x` lives until the call is over.
    unsafe { guarded_call(callee, &raw mut x)? };
    Ok([x[0], x[1], x[2], x[3]])
}

macro_rules! conduit {
    ($name:ident, $instruction:literal) => {
        unsafe extern "C" fn $name(x: *mut [u64; 7]) {
            // SAFETY: `call` passes a live array.
            let x = unsafe { &mut *x };
            let arguments = [x[4], x[5], x[6]];
            let mut flags = FLAGS;
            let mut kept = [0; 11];
            // SAFETY: SMCCC: x0 to x3 are results; memory changes only where the callee's contract says so.
            unsafe {
                asm!(
                    "msr nzcv, {flags}",
                    $instruction,
                    "mrs {flags}, nzcv",
                    flags = inout(reg) flags,
                    inout("x0") x[0], inout("x1") x[1], inout("x2") x[2], inout("x3") x[3],
                    inout("x4") x[4], inout("x5") x[5], inout("x6") x[6],
                    inout("x7") held(7) => kept[0], inout("x8") held(8) => kept[1], inout("x9") held(9) => kept[2],
                    inout("x10") held(10) => kept[3], inout("x11") held(11) => kept[4],
                    inout("x12") held(12) => kept[5], inout("x13") held(13) => kept[6],
                    inout("x14") held(14) => kept[7], inout("x15") held(15) => kept[8],
                    inout("x16") held(16) => kept[9], inout("x17") held(17) => kept[10],
                    options(nostack)
                );
            }
            kept::check(7, &kept, flags);
            if [x[4], x[5], x[6]] != arguments {
                parallax_stuck();
            }
        }
    };
}

conduit!(smc, "smc #0");
conduit!(hvc, "hvc #0");
