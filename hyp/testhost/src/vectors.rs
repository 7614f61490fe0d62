//! EL1 exceptions: an access that may fail is a guarded call, and its abort is its result.
//!
//! [`guarded_call`] notes its stack pointer in the CPU's [`Recovery`] record (TPIDR_EL1) and calls. A synchronous
//! exception meanwhile stores what EL1 is told of it there, and goes on in `guarded_call`'s epilogue, which restores
//! all callee-saved registers: the call has ended, with a [`Trap`]. Anything else ends in `parallax_stuck`.
//! Interrupts stay masked for good; `WFI` wakes up for pending ones all the same.
//!
//! Safety: the frames that a trap abandons must own nothing that needs dropping. The callees are leaf functions
//! around one instruction, or code of the harness at some IPA.

use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::mem::offset_of;

use crate::cpus::Cpu;
use crate::kept::{NZCV, REGISTERS, SP};

/// A CPU's record of the guarded call in progress. TPIDR_EL1 points at it.
#[repr(C)]
pub(crate) struct Recovery {
    /// `guarded_call`'s stack pointer, 0 when no call is in progress.
    sp: UnsafeCell<u64>,
    esr: UnsafeCell<u64>,
    far: UnsafeCell<u64>,
    elr: UnsafeCell<u64>,
    spsr: UnsafeCell<u64>,
    vector: UnsafeCell<u64>,
    registers: UnsafeCell<[u64; REGISTERS]>,
}

impl Recovery {
    pub(crate) const fn new() -> Self {
        Self {
            sp: UnsafeCell::new(0),
            esr: UnsafeCell::new(0),
            far: UnsafeCell::new(0),
            elr: UnsafeCell::new(0),
            spsr: UnsafeCell::new(0),
            vector: UnsafeCell::new(0),
            registers: UnsafeCell::new([0; REGISTERS]),
        }
    }

    /// What the registers held at the last exception.
    pub(crate) fn registers(&self) -> [u64; REGISTERS] {
        // SAFETY: only this CPU's vector writes the record, and only during a guarded call.
        unsafe { *self.registers.get() }
    }
}

/// The exception that ended a guarded call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trap {
    /// ESR_EL1.
    pub(crate) esr: u64,
    /// FAR_EL1; 0 for an undefined instruction.
    pub(crate) far: u64,
    /// ELR_EL1.
    pub(crate) elr: u64,
    /// SPSR_EL1.
    pub(crate) spsr: u64,
    /// The vector that was taken: its offset from VBAR_EL1, in bytes.
    pub(crate) vector: u64,
}

impl Trap {
    /// Was the instruction undefined (ESR_EL1.EC = 0), rather than the access refused?
    pub(crate) fn is_undefined(self) -> bool {
        self.esr >> 26 & 0x3f == 0
    }
}

global_asm!(
    r#"
    .macro  stuck_vector
    .balign 128
    b       parallax_stuck
    .endm

    // TPIDR_EL0 is nobody's: it holds x30 while that finds the record.
    .macro  synchronous vector
    .balign 128
    msr     tpidr_el0, x30
    mrs     x30, tpidr_el1
    cbz     x30, parallax_stuck
    str     x29, [x30, #{registers} + 8 * 29]
    mov     x29, #\vector
    b       take
    .endm

    .text
    .balign 2048
    .global vectors
vectors:
    .rept   4                       // current EL with SP0
    stuck_vector
    .endr
    synchronous 0x200       // current EL with SPx
    .rept   3                       // IRQ, FIQ, SError
    stuck_vector
    .endr
    synchronous 0x400       // lower EL, AArch64
    .rept   7
    stuck_vector
    .endr

    // x30 = record, x29 = offset of the vector.
    .balign 128
take:
    stp     x0, x1, [x30, #{registers}]
    stp     x2, x3, [x30, #{registers} + 8 * 2]
    stp     x4, x5, [x30, #{registers} + 8 * 4]
    stp     x6, x7, [x30, #{registers} + 8 * 6]
    stp     x8, x9, [x30, #{registers} + 8 * 8]
    stp     x10, x11, [x30, #{registers} + 8 * 10]
    stp     x12, x13, [x30, #{registers} + 8 * 12]
    stp     x14, x15, [x30, #{registers} + 8 * 14]
    stp     x16, x17, [x30, #{registers} + 8 * 16]
    stp     x18, x19, [x30, #{registers} + 8 * 18]
    stp     x20, x21, [x30, #{registers} + 8 * 20]
    stp     x22, x23, [x30, #{registers} + 8 * 22]
    stp     x24, x25, [x30, #{registers} + 8 * 24]
    stp     x26, x27, [x30, #{registers} + 8 * 26]
    str     x28, [x30, #{registers} + 8 * 28]
    mrs     x9, tpidr_el0
    str     x9, [x30, #{registers} + 8 * 30]
    mov     x9, sp
    str     x9, [x30, #{registers} + 8 * {sp_at}]
    mrs     x12, spsr_el1
    and     x9, x12, #0xf0000000
    str     x9, [x30, #{registers} + 8 * {nzcv_at}]
    ldr     x9, [x30, #{sp}]
    cbz     x9, parallax_stuck
    str     x29, [x30, #{vector}]
    mrs     x9, esr_el1
    mrs     x10, far_el1
    mrs     x11, elr_el1
    str     x9, [x30, #{esr}]
    str     x10, [x30, #{far}]
    str     x11, [x30, #{elr}]
    str     x12, [x30, #{spsr}]
    adr     x11, guarded_trap
    msr     elr_el1, x11
    mov     x11, #0x3c5             // EL1h, DAIF masked
    msr     spsr_el1, x11
    eret

    .balign 128
    .global guarded_enter
guarded_enter:
    stp     x29, x30, [sp, #-96]!
    mov     x29, sp
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    mov     x10, sp
    mrs     x9, tpidr_el1
    str     x10, [x9, #{sp}]
    mov     x9, x0
    mov     x0, x1
    blr     x9
    mov     x0, #0
    b       1f
guarded_trap:
    mov     x0, #1
1:  mrs     x9, tpidr_el1
    ldr     x10, [x9, #{sp}]
    str     xzr, [x9, #{sp}]
    mov     sp, x10
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #96
    ret

    .section .breakpoints, "ax"
    .global parallax_stuck
    .type   parallax_stuck, %function
parallax_stuck:
    wfi
    b       parallax_stuck
    .size   parallax_stuck, . - parallax_stuck
    .text
    "#,
    sp = const offset_of!(Recovery, sp),
    esr = const offset_of!(Recovery, esr),
    far = const offset_of!(Recovery, far),
    elr = const offset_of!(Recovery, elr),
    spsr = const offset_of!(Recovery, spsr),
    vector = const offset_of!(Recovery, vector),
    registers = const offset_of!(Recovery, registers),
    sp_at = const SP,
    nzcv_at = const NZCV,
);

unsafe extern "C" {
    /// The exception vectors.
    pub(crate) fn vectors();
    /// Where a CPU stops for good when something happened that there is no answer to.
    pub(crate) safe fn parallax_stuck() -> !;
    fn guarded_enter(callee: unsafe extern "C" fn(*mut u64), argument: *mut u64) -> u64;
}

/// Calls `callee(argument)`; a synchronous exception on the way ends the call.
///
/// # Errors
/// The exception, if there was one.
///
/// # Safety
/// Calls do not nest. `callee` may be called with `argument`, and may be left at any of its instructions that can
/// take an exception: it holds no lock and no value that needs dropping there.
pub(crate) unsafe fn guarded_call<T>(
    callee: unsafe extern "C" fn(*mut T),
    argument: *mut T,
) -> Result<(), Trap> {
    // SAFETY: functions of one pointer argument have one calling convention, whatever it points at.
    let callee = unsafe {
        core::mem::transmute::<unsafe extern "C" fn(*mut T), unsafe extern "C" fn(*mut u64)>(callee)
    };
    // SAFETY: the caller vouches for the callee; TPIDR_EL1 is this CPU's record (`Cpu::enter`).
    if unsafe { guarded_enter(callee, argument.cast()) } == 0 {
        return Ok(());
    }
    let recovery = &Cpu::current().recovery;
    // SAFETY: only this CPU's vector writes the record, and only during a guarded call.
    let mut trap = unsafe {
        Trap {
            esr: *recovery.esr.get(),
            far: *recovery.far.get(),
            elr: *recovery.elr.get(),
            spsr: *recovery.spsr.get(),
            vector: *recovery.vector.get(),
        }
    };
    if trap.is_undefined() {
        trap.far = 0;
    }
    Err(trap)
}
