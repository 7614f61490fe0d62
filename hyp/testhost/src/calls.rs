//! `hvc #0` and `smc #0`.

use core::arch::asm;

use crate::board::Conduit;
use crate::vectors::{Trap, guarded_call};

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
            // SAFETY: SMCCC: x0 to x17 may change, memory only where the callee's contract says so.
            unsafe {
                asm!(
                    $instruction,
                    inout("x0") x[0], inout("x1") x[1], inout("x2") x[2], inout("x3") x[3],
                    inout("x4") x[4] => _, inout("x5") x[5] => _, inout("x6") x[6] => _,
                    out("x7") _, out("x8") _, out("x9") _, out("x10") _, out("x11") _, out("x12") _,
                    out("x13") _, out("x14") _, out("x15") _, out("x16") _, out("x17") _,
                    options(nostack)
                );
            }
        }
    };
}

conduit!(smc, "smc #0");
conduit!(hvc, "hvc #0");
