//! EL2's own translation: which part of the image is what, W^X, and nothing under a stack.

use hyp_core::addr::{HypVa, PAGE_SIZE, PhysAddr};
use hyp_core::faulty;
use hyp_core::ownership::boot::{Boot, BootError};
use hyp_core::pgtable::attrs::{El2Prot, MAIR_EL2};
use hyp_core::pgtable::geometry::{PhysSize, tcr_el2};
use hyp_core::regions::Range;

use crate::hw::Machine;
use crate::layout::{
    self, EMERGENCY_STACK, STACK, image_pa, image_to_phys, linear, stack_memory, stack_slot,
};
use crate::sysreg;

/// SCTLR_EL2 (E2H = 0): RES1 bits and I, SA, C, M.
const SCTLR: u64 = 0x30c5_183d;
/// SCTLR_EL2.WXN: what is writable is not executable, whatever its XN says.
const SCTLR_WXN: u64 = 1 << 19;

/// The registers that put EL2 on a set of tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Regime {
    /// MAIR_EL2.
    pub(crate) mair_el2: u64,
    /// TCR_EL2.
    pub(crate) tcr_el2: u64,
    /// TTBR0_EL2: the root table.
    pub(crate) ttbr0_el2: PhysAddr,
    /// SCTLR_EL2, with the MMU on.
    pub(crate) sctlr_el2: u64,
}

/// The size of this machine's physical addresses.
pub(crate) fn phys_size() -> PhysSize {
    PhysSize::from_id_aa64mmfr0(sysreg::read!("id_aa64mmfr0_el1"))
}

/// The registers for the tables at `root`.
pub(crate) fn regime(root: PhysAddr) -> Regime {
    let sctlr_el2 = faulty::sctlr_el2(SCTLR | SCTLR_WXN);
    Regime { mair_el2: MAIR_EL2, tcr_el2: tcr_el2(phys_size()), ttbr0_el2: root, sctlr_el2 }
}

/// Maps the image, the stacks of `cpus` CPUs and the device `frames`; `boot` has the page pool mapped
/// already.
///
/// # Errors
/// [`BootError::NoMem`] when the pool is too small.
pub(crate) fn map(
    boot: &mut Boot<Machine>,
    cpus: usize,
    frames: impl Iterator<Item = Range>,
) -> Result<(), BootError> {
    let image = [
        (layout::text(), El2Prot::Text),
        (layout::rodata(), El2Prot::Rodata),
        (layout::data(), El2Prot::Data),
    ];
    for (part, prot) in image {
        boot.map_el2(HypVa(part.start), image_to_phys(part.start), part.end - part.start, prot)?;
    }
    // The image's first page, where the MMU is switched, at its physical address.
    boot.map_el2(HypVa(image_pa().0), image_pa(), PAGE_SIZE, El2Prot::Text)?;
    for cpu in 0..cpus {
        let mut memory = stack_memory(cpu);
        for stack in faulty::stacks([STACK, EMERGENCY_STACK]) {
            let size = stack.end - stack.start;
            boot.map_el2(HypVa(stack_slot(cpu) + stack.start), memory, size, El2Prot::Data)?;
            memory = memory.add(size);
        }
    }
    for frame in frames {
        boot.map_el2(linear(frame.base), frame.base, frame.size, El2Prot::Device)?;
    }
    Ok(())
}
