//! Entry of every CPU: stack, tables, MMU, then Rust.
//!
//! CPU 0 enters at the image's first byte with the device tree's address in x0. The others enter at
//! `secondary_start`, by PSCI CPU_ON, with their number in x0. Both turn stage 1 on with the static tables of
//! [`crate::mmu`] before they run any Rust, so that Rust always sees Normal memory and working atomics.
//!
//! Safety: nothing here touches memory except the stacks and `.bss`, which belong to this image alone.

use core::arch::global_asm;

use crate::cpus::MAX_CPUS;
use crate::mmu::{MAIR, SCTLR, TCR};

/// Bytes of stack of each CPU.
const STACK_SIZE: usize = 16 * 1024;

/// The stacks, one a CPU. The CPUs' stack pointers are their only users.
#[repr(C, align(16))]
struct Stacks(core::cell::UnsafeCell<[[u8; STACK_SIZE]; MAX_CPUS]>);

// SAFETY: no Rust code refers to the array; each CPU uses only its own row, as its stack.
unsafe impl Sync for Stacks {}

static STACKS: Stacks = Stacks(core::cell::UnsafeCell::new([[0; STACK_SIZE]; MAX_CPUS]));

global_asm!(
    r#"
    .section .text.start, "ax"
    .global _start
_start:
    mov     x20, x0
    mov     x19, xzr
    adrp    x1, __bss_start
    add     x1, x1, :lo12:__bss_start
    adrp    x2, __bss_end
    add     x2, x2, :lo12:__bss_end
1:  cmp     x1, x2
    b.hs    2f
    stp     xzr, xzr, [x1], #16
    b       1b

    .global secondary_start
secondary_start:
    mov     x19, x0
    mov     x20, xzr

2:  msr     daifset, #0xf
    adrp    x1, {vectors}
    add     x1, x1, :lo12:{vectors}
    msr     vbar_el1, x1
    // Until a CPU has its record, an exception must end in parallax_stuck, not in memory.
    msr     tpidr_el1, xzr

    ldr     x1, ={mair}
    msr     mair_el1, x1
    // TCR_EL1.IPS is what the CPU can do, at most 48 bits.
    ldr     x1, ={tcr}
    mrs     x2, id_aa64mmfr0_el1
    and     x2, x2, #0xf
    mov     x3, #5
    cmp     x2, x3
    csel    x2, x2, x3, lo
    bfi     x1, x2, #32, #3
    msr     tcr_el1, x1
    adrp    x1, {root}
    msr     ttbr0_el1, x1
    msr     ttbr1_el1, xzr
    dsb     ishst
    tlbi    vmalle1
    dsb     nsh
    isb
    ldr     x1, ={sctlr}
    msr     sctlr_el1, x1
    isb

    adrp    x1, {stacks}
    add     x1, x1, :lo12:{stacks}
    mov     x2, #{stack_size}
    madd    x1, x2, x19, x1
    add     sp, x1, x2
    mov     x29, xzr
    mov     x30, xzr
    mov     x0, x20
    cbz     x19, {main}
    mov     x0, x19
    b       {secondary_main}
    "#,
    vectors = sym crate::vectors::vectors,
    mair = const MAIR,
    tcr = const TCR,
    root = sym crate::mmu::root_table,
    sctlr = const SCTLR,
    stacks = sym STACKS,
    stack_size = const STACK_SIZE,
    main = sym crate::main,
    secondary_main = sym crate::secondary_main,
);

unsafe extern "C" {
    /// Where PSCI CPU_ON lets a CPU in; x0 is its number.
    pub(crate) fn secondary_start();
}
