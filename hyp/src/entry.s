// Entry of every CPU. All of it lives in the image's first page, which is mapped both at its linked address
// and at its physical address, so that the MMU can be switched on and off while it runs. Until the MMU is on,
// code here is position independent and touches memory only through PC-relative physical addresses.

.section .idmap.text, "ax"

// arm64 Image header (Linux Documentation: "Booting AArch64 Linux").
.global _start
_start:
    b       primary_entry
    .long   0
    .quad   0                               // text_offset
    .quad   __image_size                    // image_size
    .quad   0xa                             // flags: little-endian, 4K pages, any 2 MiB aligned base
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

// Descriptor bits of boot_tables' blocks: AF, inner shareable, AP[1] RES1, AttrIndx 0, valid.
.equ BOOT_BLOCK, 0x741
.equ BOOT_TABLE, 0x3

// x0 = device tree.
primary_entry:
    mov     x19, x0
    bl      check_el2
    adrp    x20, __image_start
    tst     x20, #0x1fffff
    b.ne    halt

    adrp    x21, __boot_tables
    adrp    x1, __boot_tables_end
    mov     x0, x21
1:  stp     xzr, xzr, [x0], #16
    cmp     x0, x1
    b.lo    1b

    // boot_tables: 0 = level 0; 1, 2 = the image at its linked address; 3, 4 = the image at its physical
    // address; 5 = level 1 of the linear map, filled later.
    add     x1, x21, #0x1000
    add     x2, x21, #0x2000
    add     x3, x21, #0x3000
    add     x4, x21, #0x4000
    add     x5, x21, #0x5000
    orr     x6, x1, #BOOT_TABLE
    str     x6, [x21, #320 * 8]
    orr     x6, x2, #BOOT_TABLE
    str     x6, [x1]
    orr     x6, x5, #BOOT_TABLE
    str     x6, [x21, #256 * 8]
    ubfx    x7, x20, #39, #9
    orr     x6, x3, #BOOT_TABLE
    str     x6, [x21, x7, lsl #3]
    ubfx    x7, x20, #30, #9
    orr     x6, x4, #BOOT_TABLE
    str     x6, [x3, x7, lsl #3]
    ubfx    x7, x20, #21, #9
    mov     x8, #BOOT_BLOCK
    orr     x6, x20, x8
    str     x6, [x4, x7, lsl #3]
    adrp    x9, __image_end
2:  str     x6, [x2], #8
    add     x6, x6, #0x200000
    cmp     x6, x9
    b.lo    2b

    // The tables were written with the cache off: no stale line of them may stay.
    adrp    x1, __boot_tables_end
    mov     x0, x21
    mrs     x2, ctr_el0
    ubfx    x2, x2, #16, #4
    mov     x3, #4
    lsl     x2, x3, x2
    dmb     sy
3:  dc      ivac, x0
    add     x0, x0, x2
    cmp     x0, x1
    b.lo    3b
    dsb     sy

    ldr     x0, =0x000004ff                 // MAIR_EL2: 0 = Normal write-back, 1 = Device-nGnRE
    ldr     x1, =0x80803510                 // TCR_EL2: 48 bits, 4K, write-back inner shareable walks
    mrs     x2, id_aa64mmfr0_el1
    and     x2, x2, #0xf
    mov     x3, #5                          // PS: no more than 48 bits
    cmp     x2, x3
    csel    x2, x2, x3, lo
    bfi     x1, x2, #16, #3
    mov     x2, x21
    ldr     x3, =0x30c5183d                 // SCTLR_EL2: RES1, I, SA, C, M
    bl      mmu_on

    // From here on at the linked address.
    ldr     x0, =primary_linked
    br      x0

// x0..x3 = MAIR_EL2, TCR_EL2, TTBR0_EL2, SCTLR_EL2; returns with the MMU on.
mmu_on:
    msr     mair_el2, x0
    msr     tcr_el2, x1
    msr     ttbr0_el2, x2
    isb
    tlbi    alle2
    ic      iallu
    dsb     nsh
    isb
    msr     sctlr_el2, x3
    isb
    ret

// Stops a CPU that was not entered at EL2; otherwise makes sure that E2H is 0.
check_el2:
    msr     daifset, #0xf
    mrs     x1, currentel
    cmp     x1, #0x8
    b.ne    halt
    msr     spsel, #1
    mov     x1, #0x80000000                 // HCR_EL2: RW only
    msr     hcr_el2, x1
    isb
    ret

halt:
    wfe
    b       halt

// x0 = physical address of the CPU's CpuBoot (cpus.rs). Entered with the MMU off by PSCI, or at this code's
// physical address with the boot tables on by the first CPU. Ends in CpuBoot.entry on the final tables and
// stack.
.global idmap_enter
idmap_enter:
    mov     x19, x0
    bl      check_el2
    mrs     x1, sctlr_el2
    bic     x1, x1, #1
    msr     sctlr_el2, x1
    isb
    ldp     x0, x1, [x19]
    ldp     x2, x3, [x19, #16]
    ldp     x4, x5, [x19, #32]
    ldp     x6, x7, [x19, #48]
    msr     tpidr_el2, x4
    mov     sp, x5
    msr     vbar_el2, x6
    bl      mmu_on
    mov     x29, xzr
    mov     x30, xzr
    br      x7

.ltorg

.section .text.entry, "ax"
primary_linked:
    adrp    x0, __bss_start
    add     x0, x0, :lo12:__bss_start
    adrp    x1, __bss_end
1:  stp     xzr, xzr, [x0], #16
    cmp     x0, x1
    b.lo    1b
    // All stacks are boot's: no other CPU runs, and nothing of boot's is needed when this one takes its own.
    adrp    x0, __stacks_end
    mov     sp, x0
    adrp    x0, vectors
    add     x0, x0, :lo12:vectors
    msr     vbar_el2, x0
    msr     tpidr_el2, xzr
    isb
    mov     x0, x19
    mov     x1, x20
    mov     x29, xzr
    mov     x30, xzr
    b       boot_main
