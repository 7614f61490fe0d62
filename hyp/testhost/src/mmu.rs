//! Stage 1 of EL1: identity for the test host itself, and a window through which it reaches any IPA.
//!
//! TTBR0 covers 48 bits of VA: level 0 -> level 1 with 1 GiB blocks. Entry 0 of level 0 is the identity map of the
//! first 512 GiB (RAM Normal write-back, all else Device and never executable). Entry [`WINDOW_L0`] leads to the
//! window table, in which each CPU owns the entry of its number. TTBR1 is off except during [`walk_through`].
//!
//! The window's entry is left alone while it already shows the wanted GiB. What the TLB then holds is what stage 2
//! allowed earlier: a hypervisor that forgets to invalidate shows here.
//!
//! Safety: tables are changed by break-before-make; only the CPU that owns a window entry changes or uses it, and
//! identity entries change only at boot, towards the memory type that the device tree names.

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU64, Ordering};

use crate::access;
use crate::board::Board;
use crate::cpus::MAX_CPUS;
use crate::vectors::Trap;

/// MAIR_EL1: index 0 Device-nGnRnE, index 1 Normal write-back.
pub(crate) const MAIR: u64 = 0xff00;
/// TCR_EL1 without IPS: 48-bit VAs, 4 KiB granules, write-back inner-shareable walks, EPD1 (TTBR1 off).
pub(crate) const TCR: u64 = 16 | 0b01 << 8 | 0b01 << 10 | 0b11 << 12 | TCR_T1;
/// TTBR1's half of [`TCR`]: T1SZ, EPD1, IRGN1, ORGN1, SH1, TG1 = 4 KiB.
const TCR_T1: u64 = 16 << 16 | TCR_EPD1 | 0b01 << 24 | 0b01 << 26 | 0b11 << 28 | 0b10 << 30;
/// TCR_EL1.EPD1: TTBR1 is not walked.
const TCR_EPD1: u64 = 1 << 23;
/// SCTLR_EL1: RES1 bits, I, SA, C, M; alignment is not checked.
pub(crate) const SCTLR: u64 = 0x30d0_0800 | 1 << 12 | 1 << 3 | 1 << 2 | 1;

/// Bytes that one entry of level 1 maps.
pub(crate) const BLOCK: u64 = 1 << 30;
/// The level-0 entry of the window.
const WINDOW_L0: u64 = 224;
/// Bits of an IPA that can be asked for.
const IPA_BITS: u32 = 48;

/// Valid, block, AF, UXN: executable at EL1 only.
const BLOCK_COMMON: u64 = 1 | 1 << 10 | 1 << 54;
/// PXN: not executable at EL1.
const PXN: u64 = 1 << 53;

/// What memory the window takes an address for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemoryType {
    /// Normal write-back, inner shareable, executable.
    Normal,
    /// Device-nGnRnE, never executable.
    Device,
}

impl MemoryType {
    const fn bits(self) -> u64 {
        match self {
            Self::Normal => BLOCK_COMMON | 1 << 2 | 0b11 << 8,
            Self::Device => BLOCK_COMMON | PXN,
        }
    }
}

/// A level-1 table.
#[repr(C, align(4096))]
struct Table([AtomicU64; 512]);

static WINDOW: Table = Table([const { AtomicU64::new(0) }; 512]);
static IDENTITY: Table = Table(identity());

/// The identity map before the device tree was read: only the GiB this image is linked into is Normal.
const fn identity() -> [AtomicU64; 512] {
    let mut entries = [const { AtomicU64::new(0) }; 512];
    let mut index = 0;
    while index < 512 {
        let kind = if index == 1 { MemoryType::Normal } else { MemoryType::Device };
        entries[index] = AtomicU64::new((index as u64 * BLOCK) | kind.bits());
        index += 1;
    }
    entries
}

global_asm!(
    r#"
    .section .data.root_table, "aw"
    .balign 4096
    .global root_table
root_table:
    .quad   {identity} + 3
    .fill   {window_l0} - 1, 8, 0
    .quad   {window} + 3
    .fill   511 - {window_l0}, 8, 0
    .text
    "#,
    identity = sym IDENTITY,
    window = sym WINDOW,
    window_l0 = const WINDOW_L0,
);

unsafe extern "C" {
    /// The level-0 table.
    pub(crate) static root_table: [u64; 512];
}

/// Makes every GiB that holds RAM Normal in the identity map.
pub(crate) fn map_ram(board: &Board) {
    for (base, size) in board.ram.iter() {
        let first = base / BLOCK;
        let last = (base + (size - 1)) / BLOCK;
        for block in first..=last.min(511) {
            let address = block * BLOCK;
            set_entry(&IDENTITY.0[block as usize], address | MemoryType::Normal.bits(), address);
        }
    }
}

/// Break-before-make of the entry that maps `va`, unless it is already `value`.
fn set_entry(entry: &AtomicU64, value: u64, va: u64) {
    if entry.load(Ordering::Relaxed) == value {
        return;
    }
    entry.store(0, Ordering::Relaxed);
    // SAFETY: invalidates a translation that was just removed; no Rust object lives behind it (see the module).
    unsafe { asm!("dsb ishst", "tlbi vae1, {page}", "dsb nsh", "isb", page = in(reg) va >> 12) };
    entry.store(value, Ordering::Relaxed);
    // SAFETY: barriers only.
    unsafe { asm!("dsb ishst", "isb") };
}

/// Shows `size` bytes at IPA `ipa` in CPU `cpu`'s window. Returns their VA, or `None` if they do not fit into
/// 48 bits or cross a GiB. To be called by CPU `cpu` only.
pub(crate) fn window(cpu: usize, ipa: u64, size: u64, kind: MemoryType) -> Option<u64> {
    let offset = ipa % BLOCK;
    if ipa >> IPA_BITS != 0 || offset + size > BLOCK || cpu >= MAX_CPUS {
        return None;
    }
    let va = WINDOW_L0 << 39 | (cpu as u64 * BLOCK);
    set_entry(&WINDOW.0[cpu], (ipa - offset) | kind.bits(), va);
    Some(va | offset)
}

/// The first entry of the window table for what EL0 reaches, one a CPU.
const USER: usize = MAX_CPUS;
/// Its entry for the code that EL0 runs: the GiB that this image is linked into.
const USER_CODE: usize = 2 * MAX_CPUS;
/// AP: EL0 may read and write; EL0 may read.
const AP_USER: u64 = 0b01 << 6;
const AP_USER_READ: u64 = 0b11 << 6;
/// UXN.
const UXN: u64 = 1 << 54;

/// As [`window`], for an access at EL1 or, with `user`, at EL0. To be called by CPU `cpu` only.
pub(crate) fn probe_window(cpu: usize, ipa: u64, size: u64, user: bool) -> Option<u64> {
    let kind = if crate::host().board.ram.contains(ipa) { MemoryType::Normal } else { MemoryType::Device };
    let va = window(cpu, ipa, size, kind)?;
    if !user {
        return Some(va);
    }
    let (index, offset) = (USER + cpu, ipa % BLOCK);
    let va = WINDOW_L0 << 39 | (index as u64 * BLOCK);
    set_entry(&WINDOW.0[index], (ipa - offset) | kind.bits() | AP_USER | PXN, va);
    Some(va | offset)
}

/// Where EL0 runs the code of this image at `code`.
pub(crate) fn user_code(code: u64) -> u64 {
    let va = WINDOW_L0 << 39 | (USER_CODE as u64 * BLOCK);
    let value = (code - code % BLOCK) | MemoryType::Normal.bits() & !UXN | AP_USER_READ | PXN;
    set_entry(&WINDOW.0[USER_CODE], value, va);
    va | (code % BLOCK)
}

/// Loads from the lowest VA of TTBR1's half while TTBR1 points at the page at `table`: a walk that reads it.
/// `None` if `table` is not page aligned or beyond 48 bits.
pub(crate) fn walk_through(table: u64) -> Option<Result<(), Trap>> {
    const VA: u64 = 0xffff << 48;
    if !table.is_multiple_of(4096) || table >> IPA_BITS != 0 {
        return None;
    }
    let tcr: u64;
    // SAFETY: no pointer of the test host lies in TTBR1's half, so what it translates to concerns nobody else.
    unsafe {
        asm!("mrs {tcr}, tcr_el1", tcr = out(reg) tcr);
        asm!(
            "msr ttbr1_el1, {table}", "msr tcr_el1, {tcr}", "isb",
            table = in(reg) table, tcr = in(reg) tcr & !TCR_EPD1
        );
    }
    let result = access::load(VA, 8).map(|_| ());
    // SAFETY: as above; drops what the walk may have left in the TLB.
    unsafe {
        asm!(
            "msr tcr_el1, {tcr}", "msr ttbr1_el1, xzr", "isb", "tlbi vae1, {page}", "dsb nsh", "isb",
            tcr = in(reg) tcr, page = in(reg) VA >> 12 & ((1 << 44) - 1)
        );
    }
    Some(result)
}
