//! EL2's virtual address space, and where the linker put things.
//!
//! | from | what |
//! | --- | --- |
//! | physical address of the image's first page | that page again: code that switches the MMU |
//! | [`LINEAR_OFFSET`] | physical address + this: page pool, pages given or lent to the hypervisor, device frames |
//! | [`IMAGE_VA`] | the image: text, read-only data, data |
//! | [`STACKS_VA`] | one slot of [`STACK_SLOT`] bytes a CPU: guard, stack, guard, emergency stack |

use core::ops::Range;
use hyp_core::addr::{HypVa, PhysAddr};
use spin::Once;

/// Linear map: virtual address = physical address + this.
pub(crate) const LINEAR_OFFSET: u64 = 0x0000_8000_0000_0000;
/// Where the image is linked.
pub(crate) const IMAGE_VA: u64 = 0x0000_a000_0000_0000;
/// The first CPU's stack slot.
pub(crate) const STACKS_VA: u64 = 0x0000_b000_0000_0000;
/// Bytes of address space for one CPU's stacks. `vectors.s` knows it too.
pub(crate) const STACK_SLOT: u64 = 0x1_0000;
/// The stack within its slot; below and above it nothing is mapped.
pub(crate) const STACK: Range<u64> = 0x4000..0xc000;
/// The emergency stack within its slot, for exceptions from EL2 itself.
pub(crate) const EMERGENCY_STACK: Range<u64> = 0xd000..0x1_0000;
/// How many CPUs there can be: `hyp.ld` has stacks for so many.
pub(crate) const MAX_CPUS: usize = 8;

/// Physical address of the image's first byte.
static IMAGE_PA: Once<PhysAddr> = Once::new();

/// Tells where the image was loaded. Once, before anything else here is used.
pub(crate) fn set_image_pa(pa: PhysAddr) {
    IMAGE_PA.call_once(|| pa);
}

/// Where the image was loaded.
pub(crate) fn image_pa() -> PhysAddr {
    *IMAGE_PA.get().expect("the entry code told where the image is")
}

/// The virtual address of a linker symbol.
macro_rules! symbol {
    ($name:ident) => {{
        unsafe extern "C" {
            static $name: u8;
        }
        (&raw const $name) as u64
    }};
}
pub(crate) use symbol;

/// Text: readable and executable. Its first page is the identity-mapped one.
pub(crate) fn text() -> Range<u64> {
    symbol!(__image_start)..symbol!(__rodata_start)
}

/// Read-only data.
pub(crate) fn rodata() -> Range<u64> {
    symbol!(__rodata_start)..symbol!(__data_start)
}

/// Data and zeroed data.
pub(crate) fn data() -> Range<u64> {
    symbol!(__data_start)..symbol!(__bss_end)
}

/// Bytes of the image in memory, tables and stacks included; page aligned.
pub(crate) fn image_size() -> u64 {
    symbol!(__image_end) - IMAGE_VA
}

/// The physical address behind an address of the image.
pub(crate) fn image_to_phys(va: u64) -> PhysAddr {
    image_pa().add(va - IMAGE_VA)
}

/// Where the linear map shows `pa`.
pub(crate) const fn linear(pa: PhysAddr) -> HypVa {
    HypVa(pa.0 + LINEAR_OFFSET)
}

/// Virtual address of CPU `index`'s stack slot.
pub(crate) const fn stack_slot(index: usize) -> u64 {
    STACKS_VA + index as u64 * STACK_SLOT
}

/// The memory of CPU `index`'s stacks: of its stack first, of its emergency stack behind it.
pub(crate) fn stack_memory(index: usize) -> PhysAddr {
    let bytes = (STACK.end - STACK.start) + (EMERGENCY_STACK.end - EMERGENCY_STACK.start);
    image_to_phys(symbol!(__stacks) + index as u64 * bytes)
}
