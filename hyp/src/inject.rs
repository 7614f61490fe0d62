//! Exceptions that the host takes at EL1 because EL2 says so (Arm ARM D1.3, AArch64.TakeException).

use crate::host;
use crate::sysreg::{self, id_field};
use hyp_core::faulty;

/// ESR_ELx.EC values used here.
mod ec {
    pub(super) const UNKNOWN: u64 = 0x00;
    pub(super) const IABT_LOW: u64 = 0x20;
    pub(super) const IABT_CUR: u64 = 0x21;
    pub(super) const DABT_LOW: u64 = 0x24;
    pub(super) const DABT_CUR: u64 = 0x25;
}

const EC_SHIFT: u32 = 26;
/// ESR_ELx.IL: a 32-bit instruction.
const IL: u64 = 1 << 25;
/// The part of an abort's ISS that means the same at EL1: FnV, CM, S1PTW, WnR. ISV and the fields
/// that it makes valid exist for stage-2 aborts only.
const ABORT_ISS: u64 = 1 << 10 | 1 << 8 | S1PTW | 1 << 6;
const S1PTW: u64 = 1 << 7;
/// DFSC or IFSC; and its values for a synchronous external abort, and for one on a walk of the level in bits 1:0.
const FSC: u64 = 0x3f;
const EXTERNAL: u64 = 0b01_0000;
const EXTERNAL_ON_WALK: u64 = 0b01_0100;

/// SPSR_EL2 fields.
mod spsr {
    pub(super) const EL: u64 = 0b11 << 2;
    pub(super) const SP: u64 = 1;
    pub(super) const AARCH32: u64 = 1 << 4;
    pub(super) const DAIF: u64 = 0xf << 6;
    pub(super) const SSBS: u64 = 1 << 12;
    pub(super) const ALLINT: u64 = 1 << 13;
    pub(super) const PAN: u64 = 1 << 22;
    pub(super) const DIT: u64 = 1 << 24;
    pub(super) const TCO: u64 = 1 << 25;
    pub(super) const NZCV: u64 = 0xf << 28;
    pub(super) const EL1H: u64 = 0b0101;
}

/// SCTLR_EL1.SPAN: exceptions leave PSTATE.PAN alone.
const SCTLR_SPAN: u64 = 1 << 23;
/// SCTLR_EL1.DSSBS: PSTATE.SSBS on an exception.
const SCTLR_DSSBS: u64 = 1 << 44;
/// SCTLR_EL1.SPINTMASK: exceptions leave PSTATE.ALLINT clear.
const SCTLR_SPINTMASK: u64 = 1 << 62;

/// Makes the host take the data or instruction abort of `esr` (ESR_EL2) at EL1, at the same address and for the same
/// reason; an external abort where a user process must not go on.
pub(crate) fn abort(esr: u64) {
    let from_el1 = sysreg::read!("spsr_el2") & (spsr::EL | spsr::AARCH32) == 1 << 2;
    // A fault of its tables is the kernel's to mend for a user process, again and again: this one it cannot.
    let fsc = match esr & FSC {
        fault if from_el1 || fault >= EXTERNAL => fault,
        fault if esr & S1PTW != 0 => faulty::user_fsc(EXTERNAL_ON_WALK | fault & 0b11, fault),
        fault => faulty::user_fsc(EXTERNAL, fault),
    };
    let class = match (esr >> EC_SHIFT == ec::IABT_LOW, from_el1) {
        (true, true) => ec::IABT_CUR,
        (true, false) => ec::IABT_LOW,
        (false, true) => ec::DABT_CUR,
        (false, false) => ec::DABT_LOW,
    };
    let far = faulty::far_el1(sysreg::read!("far_el2"));
    // SAFETY: FAR_EL1 is the host's, and is part of the exception that it takes now.
    unsafe { sysreg::write!("far_el1", far) };
    exception(faulty::esr_el1(class << EC_SHIFT | esr & (IL | ABORT_ISS) | fsc));
}

/// Makes the host take an "unknown reason" exception at EL1 for the instruction at ELR_EL2: it does not exist
/// here.
pub(crate) fn undefined() {
    exception(ec::UNKNOWN << EC_SHIFT | IL);
}

/// Takes an exception to EL1 with `esr_el1` from where the host was.
fn exception(esr_el1: u64) {
    let old = sysreg::read!("spsr_el2");
    let vector = match old & (spsr::AARCH32 | spsr::EL | spsr::SP) {
        0b00100 => 0x000,
        0b00101 => 0x200,
        mode if mode & spsr::AARCH32 == 0 => 0x400,
        _ => 0x600,
    };
    let target = sysreg::read!("vbar_el1").wrapping_add(faulty::vector(vector));
    let sctlr = sysreg::read!("sctlr_el1");
    let (mmfr1, pfr1) = (sysreg::read!("id_aa64mmfr1_el1"), sysreg::read!("id_aa64pfr1_el1"));
    let set = host::only(&[
        (id_field(mmfr1, 20) != 0 && sctlr & SCTLR_SPAN == 0, spsr::PAN),
        (id_field(pfr1, 4) != 0 && sctlr & SCTLR_DSSBS != 0, spsr::SSBS),
        (id_field(pfr1, 8) >= 2, spsr::TCO),
        (id_field(pfr1, 36) != 0 && sctlr & SCTLR_SPINTMASK == 0, spsr::ALLINT),
    ]);
    let new = old & (spsr::NZCV | spsr::DIT | spsr::PAN) | spsr::DAIF | spsr::EL1H | set;
    let elr = sysreg::read!("elr_el2");
    // SAFETY: EL1's exception registers are the host's; ELR_EL2 and SPSR_EL2 send it to its own vector at
    // EL1h.
    unsafe {
        sysreg::write!("esr_el1", esr_el1);
        sysreg::write!("elr_el1", elr);
        sysreg::write!("spsr_el1", faulty::spsr_el1(old));
        sysreg::write!("elr_el2", target);
        sysreg::write!("spsr_el2", new);
    }
}
