//! Interrupts: one SGI that says "look", and the virtual timer's PPI. They end a `WFI`; no handler ever runs.
//!
//! Safety: the driver's pointers are the device tree's GICD and GICR, which stage 1 maps as Device memory and nothing
//! else in this image uses.

use core::ptr::NonNull;

use arm_gic::gicv3::registers::{Gicd, GicrSgi};
use arm_gic::gicv3::{GicCpuInterface, GicV3, SgiTarget, SgiTargetGroup};
use arm_gic::{IntId, InterruptGroup, UniqueMmioPointer};
use spin::Mutex;

use crate::board::Board;

/// The SGI that wakes a CPU.
const WAKE: IntId = IntId::sgi(0);

/// Only interrupts of a higher priority (a lower number) than this are heard: the two have 0x80, which `arm-gic` gives to all. LPIs
/// have 0xa0 and more as drivers set them up: a pending table full of them would end each wait, and nobody here takes them.
const HEARD: u8 = 0xa0;

static GIC: Mutex<Option<GicV3<'static>>> = Mutex::new(None);

/// Sets the distributor and all redistributors up. CPU 0, once, before the others come up. `false` if there is no
/// GICv3 where the tree says.
pub(crate) fn init(board: &Board) -> bool {
    let (Some(gicd), Some(gicr)) =
        (NonNull::new(board.gicd as *mut Gicd), NonNull::new(board.gicr as *mut GicrSgi))
    else {
        return false;
    };
    // SAFETY: the device tree's GICD; this is its only user.
    let gicd = unsafe { UniqueMmioPointer::new(gicd) };
    // SAFETY: the device tree's GICR; this is its only user.
    let Ok(mut driver) = (unsafe { GicV3::new(gicd, gicr, board.cpu_count) }) else {
        return false;
    };
    driver.setup(0);
    *GIC.lock() = Some(driver);
    true
}

/// Enables the two interrupts on CPU `cpu`, on which this runs. `false` if it has no redistributor.
pub(crate) fn enter(board: &Board, cpu: usize) -> bool {
    let mut gic = GIC.lock();
    let Some(driver) = gic.as_mut() else {
        return false;
    };
    let affinity =
        |index: &usize| driver.gicr_typer(*index).is_ok_and(|typer| typer.core_mpidr() == board.cpus[cpu]);
    let Some(redistributor) = (0..board.cpu_count).find(affinity) else {
        return false;
    };
    driver.init_cpu(redistributor);
    let enabled = [WAKE, board.timer]
        .into_iter()
        .all(|interrupt| driver.enable_interrupt(interrupt, Some(redistributor), true).is_ok());
    GicCpuInterface::set_priority_mask(HEARD);
    GicCpuInterface::enable_group1(true);
    enabled
}

/// Sends the SGI to the CPU with affinity `mpidr`.
pub(crate) fn wake(mpidr: u64) {
    let [aff0, aff1, aff2, _, aff3, ..] = mpidr.to_le_bytes();
    let target =
        SgiTarget::List { affinity3: aff3, affinity2: aff2, affinity1: aff1, target_list: 1 << (aff0 & 0xf) };
    let sent = GicCpuInterface::send_sgi(WAKE, target, SgiTargetGroup::CurrentGroup1);
    debug_assert!(sent.is_ok(), "SGI 0 is an SGI");
}

/// Takes what is pending off this CPU, so that the next `WFI` waits for something new.
pub(crate) fn acknowledge_all() {
    // The timer's line stays up until the timer is set anew: at most one turn for each of the two interrupts.
    for _ in 0..2 {
        GicCpuInterface::handle_interrupt(InterruptGroup::Group1, |_| ());
    }
}
