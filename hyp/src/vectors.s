// EL2's exception vectors. From the host (lower EL, AArch64): everything, of a hypercall what its handler may
// change, is saved into the HostRegs frame that SP_EL2 points at whenever the host runs. From EL2 itself: always fatal; runs on the CPU's emergency
// stack, because the exception may have been a push onto a guard page.

.section .vectors, "ax"
.balign 2048
.global vectors
vectors:

.macro save_x2_to_x17
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
.endm

.macro save_x2_to_x29
    save_x2_to_x17
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
.endm

.macro restore_x0_to_x17_and_return
    ldp     x0, x1, [sp]
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    eret
    // No speculation past the return.
    dsb     nsh
    isb
.endm

.macro save_x2_to_x30_and_call handler kind=0
    save_x2_to_x29
    str     x30, [sp, #240]
    mov     x0, sp
    mov     x1, #\kind
    mov     x29, xzr
    bl      \handler
    b       host_return
.endm

.macro save_and_call handler kind=0
    .balign 128
    stp     x0, x1, [sp]
    save_x2_to_x30_and_call \handler \kind
.endm

.macro fatal kind
    .balign 128
    // TPIDR_EL0 and TPIDRRO_EL0 are the host's; the host will not run again.
    msr     tpidr_el0, x0
    mov     x0, sp
    msr     tpidrro_el0, x0
    mrs     x0, tpidr_el2
    cbz     x0, 1f
    add     x0, x0, #0x10, lsl #12
    mov     sp, x0
1:  sub     sp, sp, #272
    str     x1, [sp, #8]
    mov     x1, #\kind
    b       fatal_common
.endm

    // Current EL with SP_EL0: never used.
    fatal 0
    fatal 1
    fatal 2
    fatal 3
    // Current EL with SP_EL2.
    fatal 4
    fatal 5
    fatal 6
    fatal 7
    // Lower EL, AArch64. Interrupts and SErrors are routed to EL1 (HCR_EL2: FMO, IMO and AMO are 0).
    .balign 128
    stp     x0, x1, [sp]
    mrs     x0, esr_el2
    // EC: HVC in AArch64 state.
    ubfx    x0, x0, #26, #6
    cmp     x0, #0x16
    b.eq    host_hvc
    save_x2_to_x30_and_call host_sync
    save_and_call host_unexpected 1
    save_and_call host_unexpected 2
    save_and_call host_unexpected 3
    // Lower EL, AArch32: only EL0, through the same handlers.
    save_and_call host_sync
    save_and_call host_unexpected 1
    save_and_call host_unexpected 2
    save_and_call host_unexpected 3

    .balign 128
// A hypercall, x0 and x1 are saved already. Its handler returns, and a function that returns has kept x19 to x28
// (AAPCS64, 6.1.1): they are not in the frame.
host_hvc:
    save_x2_to_x17
    str     x18, [sp, #144]
    stp     x29, x30, [sp, #232]
    mov     x0, sp
    mov     x29, xzr
    bl      host_hypercall
    ldr     x18, [sp, #144]
    ldp     x29, x30, [sp, #232]
    restore_x0_to_x17_and_return

// Restores the host's registers from the frame at SP and continues it at ELR_EL2.
.global host_return
host_return:
    ldp     x18, x19, [sp, #144]
    ldp     x20, x21, [sp, #160]
    ldp     x22, x23, [sp, #176]
    ldp     x24, x25, [sp, #192]
    ldp     x26, x27, [sp, #208]
    ldp     x28, x29, [sp, #224]
    ldr     x30, [sp, #240]
    restore_x0_to_x17_and_return

fatal_common:
    mrs     x0, tpidr_el0
    str     x0, [sp]
    save_x2_to_x29
    mrs     x0, tpidrro_el0
    stp     x30, x0, [sp, #240]
    mov     x0, sp
    b       el2_exception

// x0 = the host's first x0, sp = top of this CPU's stack, ELR_EL2 and SPSR_EL2 set: starts the host with an
// empty frame reserved below the top of the stack.
.global host_start
host_start:
    sub     sp, sp, #256
    mov     x1, sp
    add     x2, x1, #256
1:  stp     xzr, xzr, [x1], #16
    cmp     x1, x2
    b.lo    1b
    str     x0, [sp]
    b       host_return
