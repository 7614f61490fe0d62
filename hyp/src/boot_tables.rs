//! The translation tables that EL2 boots on: the image, its identity map, and a linear map that grows as the
//! device tree is read. Everything in them is writable; `stage1` builds the tables that replace them.

use crate::layout::{LINEAR_OFFSET, image_to_phys, symbol};
use crate::sysreg;
use hyp_core::addr::PhysAddr;

const BLOCK: u64 = 2 << 20;
/// Index of the level-1 table of the linear map (`entry.s` put the earlier ones to use).
const LINEAR_L1: usize = 5;
/// The tables after it are free for level 2.
const FIRST_FREE: usize = 6;
const TABLES: usize = 14;

/// AF, inner shareable, AP[1] RES1, block, valid; AttrIndx 0.
const NORMAL: u64 = 0x741;
/// The same with XN and AttrIndx 1.
const DEVICE: u64 = 1 << 54 | 0x445;

/// Maps `size` bytes from `pa` at their linear addresses, in 2 MiB blocks.
///
/// Panics when the tables are full or the address is beyond 512 GiB: both can only happen at boot, on a
/// device tree that this hypervisor cannot serve.
pub(crate) fn map_linear(pa: PhysAddr, size: u64, device: bool) {
    let mut block = pa.align_down(BLOCK);
    while block.0 < pa.0 + size {
        assert!(block.0 < 1 << 39, "{block} is beyond the 512 GiB that the boot tables can map");
        let attributes = if device { DEVICE } else { NORMAL };
        set(level2(block), (block.0 >> 21 & 511) as usize, block.0 | attributes);
        block = block.add(BLOCK);
    }
    // SAFETY: barriers make the new entries visible to the walker; they replaced invalid ones or equal ones.
    unsafe { core::arch::asm!("dsb ishst", "isb", options(nostack, preserves_flags)) };
}

/// Where the boot tables show `pa`, once mapped.
pub(crate) const fn linear_ptr(pa: PhysAddr) -> *const u8 {
    (pa.0 + LINEAR_OFFSET) as *const u8
}

/// The level-2 table for `pa`, taken into use if there is none yet.
fn level2(pa: PhysAddr) -> usize {
    let l1_index = (pa.0 >> 30) as usize & 511;
    for table in FIRST_FREE..TABLES {
        let descriptor = table_pa(table) | 0b11;
        if get(LINEAR_L1, l1_index) == descriptor {
            return table;
        }
        let free = (0..512).all(|index| get(table, index) == 0);
        if free && get(LINEAR_L1, l1_index) == 0 {
            set(LINEAR_L1, l1_index, descriptor);
            return table;
        }
    }
    panic!("the boot tables are full at {pa}");
}

fn table_pa(table: usize) -> u64 {
    image_to_phys(symbol!(__boot_tables)).0 + table as u64 * 4096
}

fn entry(table: usize, index: usize) -> *mut u64 {
    assert!(table < TABLES && index < 512);
    (symbol!(__boot_tables) as usize + table * 4096 + index * 8) as *mut u64
}

fn get(table: usize, index: usize) -> u64 {
    // SAFETY: `entry` is in bounds of the section that hyp.ld reserves for these tables, mapped while they
    // are in use.
    unsafe { entry(table, index).read_volatile() }
}

fn set(table: usize, index: usize, descriptor: u64) {
    debug_assert!(sysreg::read!("currentel") == 2 << 2);
    // SAFETY: as for `get`; only the first CPU runs, and Rust has no reference into the section.
    unsafe { entry(table, index).write_volatile(descriptor) };
}
