//! One load or store, at EL1 or at EL0, and all that the host is told of it.
//!
//! The instruction stands before an `svc`, so each attempt ends in an exception: that of the access, or the call's. EL0
//! runs the same code in another part of the window (see [`crate::mmu`]).

use core::arch::global_asm;

use crate::cpus::Cpu;
use crate::kept::{Form, visit};
use crate::mmu;
use crate::vectors::Trap;

global_asm!(
    r#"
    .text
    .balign 16
    .global probe_forms
probe_forms:
    .macro  form instruction:vararg
    \instruction
    svc     #0
    .endm
    form    ldr w0, [x1]            // 0
    form    ldr x0, [x1]
    form    ldrb w0, [x1]
    form    ldrh w0, [x1]
    form    ldrsb w0, [x1]          // 4
    form    ldrsb x0, [x1]
    form    ldrsh w0, [x1]
    form    ldrsh x0, [x1]
    form    ldrsw x0, [x1]          // 8
    form    ldr wzr, [x1]
    form    ldr xzr, [x1]
    form    ldr w0, [x1], #4
    form    str w0, [x1]            // 12
    form    str x0, [x1]
    form    strb w0, [x1]
    form    strh w0, [x1]
    form    str wzr, [x1]           // 16
    form    str xzr, [x1]
    form    str w0, [x1], #4
    .text
    "#
);

unsafe extern "C" {
    static probe_forms: u8;
}

/// How many forms there are.
const FORMS: u64 = 19;
/// Bytes of a form.
const FORM: u64 = 8;

/// Performs `form` at IPA `ipa` and exception level `el`, with `value` in its register. Gives what the register holds
/// and how far the address register moved; or the exception, see [`told`], with a 1 behind. `None` if that makes no sense.
pub(crate) fn perform(cpu: &Cpu, ipa: u64, form: u64, el: u64, value: u64) -> Option<[u64; 4]> {
    if form >= FORMS || el > 1 {
        return None;
    }
    let code = (&raw const probe_forms) as u64 + form * FORM;
    let va = mmu::probe_window(cpu.index, ipa, 8, el == 0)?;
    let at_el0 = el == 0;
    let code = if at_el0 { mmu::user_code(code) } else { code };
    Some(match visit(Form { code, at_el0, results: 2 }, &[value, va]) {
        Ok([x0, x1, ..]) => [x0, x1.wrapping_sub(va), 0, 0],
        Err(trap) => [told(&trap, code, va), 0, 1, 0],
    })
}

/// Bit 63; whether ELR_EL1 is the instruction's address (49) and FAR_EL1 the one that it accesses (48); the vector's
/// offset from VBAR_EL1, in units of 0x80 (47:44); SPSR_EL1 (41:32); ESR_EL1 (31:0).
fn told(trap: &Trap, code: u64, va: u64) -> u64 {
    let here = u64::from(trap.elr == code) << 49 | u64::from(trap.far == va) << 48;
    1 << 63 | here | (trap.vector >> 7) << 44 | (trap.spsr & 0x3ff) << 32 | trap.esr & 0xffff_ffff
}
