//! The host's context: what EL2 opens to EL1, decided by the ID registers, and the host's first instruction.
//!
//! What is not opened here the host does not see in its ID registers: `hyp_core::id`.
//!
//! EL2 keeps no floating point, SVE or SME state and takes no interrupt: the host owns all of that, so
//! nothing is saved and nothing of it is trapped. A guest besides the host would change this.

use core::arch::asm;
use hyp_core::faulty;
use spin::Once;

use crate::layout::STACK;
use crate::sysreg::{self, id_field, isb};

/// HCR_EL2, Arm ARM D24.2.53.
mod hcr {
    pub(super) const VM: u64 = 1 << 0;
    pub(super) const SWIO: u64 = 1 << 1;
    pub(super) const TSC: u64 = 1 << 19;
    pub(super) const TID3: u64 = 1 << 18;
    pub(super) const RW: u64 = 1 << 31;
    pub(super) const APK: u64 = 1 << 40;
    pub(super) const API: u64 = 1 << 41;
    pub(super) const EN_SCXT: u64 = 1 << 53;
    pub(super) const ATA: u64 = 1 << 56;
}

/// EL1h, AArch64, interrupts masked: how PSCI and the boot protocol start a CPU.
const SPSR_EL1H: u64 = 0x3c5;
/// SCTLR_EL1 with the MMU and caches off: RES1 bits, or the behaviour that RES1 had before they got a
/// meaning.
const SCTLR_EL1_RESET: u64 = 1 << 29 | 1 << 28 | 1 << 23 | 1 << 22 | 1 << 20 | 1 << 11;

/// VTTBR_EL2 and VTCR_EL2: the host's stage 2, the same on every CPU.
static STAGE2: Once<(u64, u64)> = Once::new();

/// Tells what [`init`] puts into VTTBR_EL2 and VTCR_EL2.
pub(crate) fn set_stage2(vttbr_el2: u64, vtcr_el2: u64) {
    STAGE2.call_once(|| (vttbr_el2, vtcr_el2));
}

/// Sets this CPU's EL2 registers up for the host.
pub(crate) fn init() {
    let (vttbr_el2, vtcr_el2) = STAGE2.get().expect("set_stage2 comes first");
    let (midr, mpidr) = (sysreg::read!("midr_el1"), sysreg::read!("mpidr_el1"));
    // SAFETY: none of these registers affects EL2's own execution: they rule EL1 and EL0. VTTBR_EL2 points to
    // the host's stage 2, which is complete.
    unsafe {
        sysreg::write!("vtcr_el2", *vtcr_el2);
        sysreg::write!("vttbr_el2", faulty::vttbr_el2(*vttbr_el2));
        sysreg::write!("hcr_el2", hyp_core::faulty::hcr_el2(hcr_el2(), crate::cpus::this()));
        sysreg::write!("vpidr_el2", midr);
        sysreg::write!("vmpidr_el2", mpidr);
        sysreg::write!("hstr_el2", 0_u64);
        // EL1PCEN, EL1PCTEN: the host has the physical counter and timer.
        sysreg::write!("cnthctl_el2", 3_u64);
        sysreg::write!("cntvoff_el2", 0_u64);
    }
    open_floating_point();
    open_debug_and_gic();
    open_fine_grained_traps();
    // SAFETY: invalidates what the reset left in the TLBs for EL1; EL2's entries stay.
    unsafe { asm!("tlbi alle1", "dsb nsh", "isb", options(nostack, preserves_flags)) };
}

/// The bits whose condition holds.
pub(crate) fn only(bits: &[(bool, u64)]) -> u64 {
    bits.iter().filter(|(condition, _)| *condition).fold(0, |all, (_, bit)| all | bit)
}

fn hcr_el2() -> u64 {
    let pfr0 = sysreg::read!("id_aa64pfr0_el1");
    let pfr1 = sysreg::read!("id_aa64pfr1_el1");
    let isar1 = sysreg::read!("id_aa64isar1_el1");
    let isar2 = sysreg::read!("S3_0_C0_C6_2"); // ID_AA64ISAR2_EL1
    // Pointer authentication in any form: APA, API, GPA, GPI; GPA3, APA3.
    let pauth = [4, 8, 24, 28].iter().any(|&shift| id_field(isar1, shift) != 0)
        || [8, 12].iter().any(|&shift| id_field(isar2, shift) != 0);
    let optional = only(&[
        (pauth, hcr::APK | hcr::API),
        (id_field(pfr1, 8) >= 2, hcr::ATA),
        (id_field(pfr0, 56) >= 2, hcr::EN_SCXT),
    ]);
    hcr::VM | hcr::SWIO | hcr::TID3 | hcr::TSC | hcr::RW | optional
}

/// Floating point, SVE and SME are the host's: CPTR_EL2 (E2H = 0) traps none of them, at full vector length.
fn open_floating_point() {
    let pfr1 = sysreg::read!("id_aa64pfr1_el1");
    let sve = id_field(sysreg::read!("id_aa64pfr0_el1"), 32) != 0;
    let sme = id_field(pfr1, 24);
    // RES1 bits 13, 9 and 7:0, and TZ (8) and TSM (12) where there is nothing to open.
    let cptr = 0x22ff | only(&[(!sve, 1 << 8), (sme == 0, 1 << 12)]);
    // SAFETY: EL2 is built without floating point; the length registers exist where their extension does, and
    // are reachable only once CPTR_EL2 has opened them.
    unsafe {
        sysreg::write!("cptr_el2", cptr);
        isb();
        if sve {
            sysreg::write!("S3_4_C1_C2_0", 0xf_u64); // ZCR_EL2.LEN
        }
    }
    if sme != 0 {
        // SMCR_EL2: FA64 where ID_AA64SMFR0_EL1 has it, EZT0 with SME2, LEN.
        let fa64 = sysreg::read!("S3_0_C0_C4_5") >> 63 != 0;
        let smcr = 0xf | only(&[(fa64, 1 << 31), (sme >= 2, 1 << 30)]);
        // SAFETY: as above.
        unsafe { sysreg::write!("S3_4_C1_C2_6", smcr) };
    }
}

/// All event counters are the host's; the GIC's system registers are open to it.
fn open_debug_and_gic() {
    let pmuver = id_field(sysreg::read!("id_aa64dfr0_el1"), 8);
    let (pmuver, counters) = match pmuver {
        0 | 0xf => (0, 0),
        _ => (pmuver, sysreg::read!("pmcr_el0") >> 11 & 0x1f),
    };
    // HPMD, HCCD: they do not count what EL2 does.
    let quiet = faulty::mdcr_el2(only(&[(pmuver >= 4, 1 << 17), (pmuver >= 6, 1 << 23)]));
    let gic = id_field(sysreg::read!("id_aa64pfr0_el1"), 24) != 0;
    // SAFETY: debug, counters and interrupts of EL1 only; the GIC's registers exist where ID_AA64PFR0_EL1.GIC
    // says so.
    unsafe {
        sysreg::write!("mdcr_el2", counters | quiet); // HPMN
        if gic {
            sysreg::write!("S3_4_C12_C9_5", 0xf_u64); // ICC_SRE_EL2: Enable, DIB, DFB, SRE
            isb();
            sysreg::write!("S3_4_C12_C11_0", 0_u64); // ICH_HCR_EL2
        }
    }
}

/// FEAT_FGT and FEAT_HCX: no traps, and the newer extensions that EL1 may use without EL2's help.
fn open_fine_grained_traps() {
    if id_field(sysreg::read!("id_aa64mmfr0_el1"), 56) != 0 {
        let open = hfgxtr_el2();
        // SAFETY: FEAT_FGT is there; its registers rule EL1 and EL0 only.
        unsafe {
            sysreg::write!("S3_4_C1_C1_4", open); // HFGRTR_EL2
            sysreg::write!("S3_4_C1_C1_5", open); // HFGWTR_EL2
            sysreg::write!("S3_4_C1_C1_6", 0_u64); // HFGITR_EL2
            sysreg::write!("S3_4_C3_C1_4", 0_u64); // HDFGRTR_EL2
            sysreg::write!("S3_4_C3_C1_5", 0_u64); // HDFGWTR_EL2
        }
    }
    if id_field(sysreg::read!("id_aa64mmfr1_el1"), 40) != 0 {
        let open = hcrx_el2();
        // SAFETY: FEAT_HCX is there; HCRX_EL2 rules EL1 and EL0 only.
        unsafe { sysreg::write!("S3_4_C1_C2_2", open) };
    }
}

/// HFGRTR_EL2 and HFGWTR_EL2: the bits of registers that are there and that trap when they are 0.
fn hfgxtr_el2() -> u64 {
    let sme = id_field(sysreg::read!("id_aa64pfr1_el1"), 24) != 0;
    let mmfr3 = sysreg::read!("S3_0_C0_C7_3"); // ID_AA64MMFR3_EL1
    only(&[
        (sme, 1 << 55 | 1 << 54),                      // nTPIDR2_EL0, nSMPRI_EL1
        (id_field(mmfr3, 8) != 0, 1 << 58 | 1 << 57),  // S1PIE: nPIR_EL1, nPIRE0_EL1
        (id_field(mmfr3, 16) != 0, 1 << 60 | 1 << 59), // S1POE: nPOR_EL1, nPOR_EL0
    ])
}

/// HCRX_EL2: extensions that EL1 has on its own.
fn hcrx_el2() -> u64 {
    let pfr2 = sysreg::read!("S3_0_C0_C4_2"); // ID_AA64PFR2_EL1
    let isar2 = sysreg::read!("S3_0_C0_C6_2"); // ID_AA64ISAR2_EL1
    let mmfr3 = sysreg::read!("S3_0_C0_C7_3"); // ID_AA64MMFR3_EL1
    only(&[
        (id_field(isar2, 16) != 0, 1 << 11), // MSCEn: memory copy instructions
        (id_field(mmfr3, 0) != 0, 1 << 14),  // TCR2En
        (id_field(mmfr3, 4) != 0, 1 << 15),  // SCTLR2En
        (id_field(pfr2, 32) != 0, 1 << 23),  // EnFPM: Linux writes FPMR wherever it is there
    ])
}

/// Enters the host on this CPU at `entry` (an address of EL1 with its MMU off), with `x0`. [`init`] comes
/// first.
pub(crate) fn start(entry: u64, x0: u64) -> ! {
    let stack_top = crate::layout::stack_slot(crate::cpus::this()) + STACK.end;
    // SAFETY: leaves EL2 for good: `host_start` (vectors.s) takes the CPU's stack from its top, where nothing
    // is needed any more, and drops to EL1. The host can touch only what its stage 2 gives it.
    unsafe {
        sysreg::write!("sctlr_el1", SCTLR_EL1_RESET);
        sysreg::write!("elr_el2", entry);
        sysreg::write!("spsr_el2", SPSR_EL1H);
        asm!("mov sp, {}", "b host_start", in(reg) stack_top, in("x0") x0, options(noreturn));
    }
}
