//! What a visit to the hypervisor must leave alone: all registers hold known values when an instruction that may lead there
//! is executed, and are looked at behind it.
//!
//! The instruction is a [`Form`]: it stands before an `svc`, so each visit ends in an exception, that of the instruction or the
//! call's, and the vector stores all registers (see [`crate::vectors`]). None is left to find them by: it is TPIDR_EL1 that does.

use core::arch::naked_asm;
use core::cell::UnsafeCell;
use core::mem::offset_of;

use crate::cpus::Cpu;
use crate::vectors::{Trap, guarded_call, parallax_stuck};

/// How many registers are looked at: x0 to x30, SP and NZCV (its bits 31:28).
pub(crate) const REGISTERS: usize = 33;
/// Places of SP and NZCV.
pub(crate) const SP: usize = 31;
pub(crate) const NZCV: usize = 32;

/// NZCV: N and C.
const FLAGS: u64 = 0b1010 << 28;
/// SPSR_EL1: interrupts masked, EL1h and EL0t.
const MASKED: u64 = 0x3c0;
const EL1H: u64 = 0b0101;
/// ESR_ELx.EC of an `svc` in AArch64 state.
const EC_SVC: u64 = 0x15;

/// What is executed: an instruction, or a few, and `svc #0` behind.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    /// Address of the first one.
    pub(crate) code: u64,
    /// Is it performed at EL0, rather than EL1?
    pub(crate) at_el0: bool,
    /// So many registers, from x0 on, are its results.
    pub(crate) results: usize,
}

impl Form {
    /// At EL1, a function that must not be called.
    pub(crate) fn at_el1(function: unsafe extern "C" fn(), results: usize) -> Self {
        Self { code: function as *const () as u64, at_el0: false, results }
    }
}

/// What the registers hold at the first instruction.
#[repr(C)]
struct Visit {
    /// ELR_EL1 and SPSR_EL1 of the way there.
    elr: u64,
    spsr: u64,
    registers: [u64; REGISTERS],
}

/// A register found changed: what was held, and what was found. The harness looks here when the test host is stuck; all else
/// is the same in both.
#[repr(transparent)]
struct Changed(UnsafeCell<[[u64; REGISTERS]; 2]>);

// SAFETY: written by a CPU that stops for good then, and read by the harness alone.
unsafe impl Sync for Changed {}

/// Where the harness finds it by name.
#[unsafe(no_mangle)]
static PARALLAX_CHANGED: Changed = Changed(UnsafeCell::new([[0; REGISTERS]; 2]));

/// What register x`number` holds before.
const fn held(number: usize) -> u64 {
    let number = number as u64;
    0x4b45_5054_0000_0000 | number << 16 | !number & 0xffff
}

/// All of them; SP is not known yet.
const HELD: [u64; REGISTERS] = {
    let mut registers = [0; REGISTERS];
    let mut number = 0;
    while number < SP {
        registers[number] = held(number);
        number += 1;
    }
    registers[NZCV] = FLAGS;
    registers
};

/// Performs `form` with `arguments` in x0 and behind, and gives what x0 to x3 are then.
///
/// # Errors
/// The exception of its instruction, if there was one.
pub(crate) fn visit(form: Form, arguments: &[u64]) -> Result<[u64; 4], Trap> {
    let spsr = MASKED | FLAGS | if form.at_el0 { 0 } else { EL1H };
    let mut visit = Visit { elr: form.code, spsr, registers: HELD };
    for (register, argument) in visit.registers.iter_mut().zip(arguments) {
        *register = *argument;
    }
    // SAFETY: `leave` owns nothing, and the visit lives until the call is over.
    let Err(trap) = (unsafe { guarded_call(leave, &raw mut visit) }) else { parallax_stuck() };
    let found = Cpu::current().recovery.registers();
    check(form.results, visit.registers, found);
    let [x0, x1, x2, x3, ..] = found;
    if trap.esr >> 26 & 0x3f == EC_SVC { Ok([x0, x1, x2, x3]) } else { Err(trap) }
}

/// Leaves for the form; an exception comes back. `guarded_call` restores what is not restored here.
#[unsafe(naked)]
unsafe extern "C" fn leave(visit: *mut Visit) {
    naked_asm!(
        "mov x1, sp",
        "str x1, [x0, #{registers} + 8 * {sp}]",
        "ldp x1, x2, [x0, #{elr}]",
        "msr elr_el1, x1",
        "msr spsr_el1, x2",
        "ldp x2, x3, [x0, #{registers} + 16]",
        "ldp x4, x5, [x0, #{registers} + 32]",
        "ldp x6, x7, [x0, #{registers} + 48]",
        "ldp x8, x9, [x0, #{registers} + 64]",
        "ldp x10, x11, [x0, #{registers} + 80]",
        "ldp x12, x13, [x0, #{registers} + 96]",
        "ldp x14, x15, [x0, #{registers} + 112]",
        "ldp x16, x17, [x0, #{registers} + 128]",
        "ldp x18, x19, [x0, #{registers} + 144]",
        "ldp x20, x21, [x0, #{registers} + 160]",
        "ldp x22, x23, [x0, #{registers} + 176]",
        "ldp x24, x25, [x0, #{registers} + 192]",
        "ldp x26, x27, [x0, #{registers} + 208]",
        "ldp x28, x29, [x0, #{registers} + 224]",
        "ldr x30, [x0, #{registers} + 240]",
        "ldp x0, x1, [x0, #{registers}]",
        "eret",
        elr = const offset_of!(Visit, elr),
        registers = const offset_of!(Visit, registers),
        sp = const SP,
    )
}

/// The test host has no answer to a register that changed, but for `results` of them from x0 on.
fn check(results: usize, mut held: [u64; REGISTERS], found: [u64; REGISTERS]) {
    held[..results].copy_from_slice(&found[..results]);
    if held != found {
        // SAFETY: this CPU stops here for good.
        unsafe { PARALLAX_CHANGED.0.get().write_volatile([held, found]) };
        parallax_stuck();
    }
}
