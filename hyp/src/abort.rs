//! Aborts of the host: which IPA it wanted, and whether it gets it.

use hyp_core::addr::Ipa;
use hyp_core::faulty;
use hyp_core::hw::Cpu;

use crate::boot::hyp;
use crate::hw::Machine;
use crate::traps::HostRegs;
use crate::{inject, mmio, sysreg};

/// ESR_EL2.ISS of an abort: DFSC or IFSC without the level, bits 1:0 (Arm ARM D24.2.40).
const FSC_CLASS: u64 = 0b11_1100;
/// That field: translation fault.
const TRANSLATION: u64 = 0b00_0100;
/// The whole field: the TLBs hold two entries for one address.
const TLB_CONFLICT: u64 = 0b11_0000;
/// HPFAR_EL2.FIPA, bits 43:4: IPA bits 51:12.
const FIPA: u64 = 0x0000_0fff_ffff_fff0;

/// Handles a data or instruction abort with syndrome `esr`: the host tries again, or takes the abort itself.
///
/// Only a translation fault can be mended. The host's entries never gain permissions while they are valid,
/// and they have their access flag set from the start, so every other fault (a permission fault on executing
/// from MMIO, an alignment fault, an external abort) is the host's own. HPFAR_EL2 is valid for a translation
/// fault of either stage's walk (D24.2.62).
#[inline(never)]
pub(crate) fn handle(esr: u64, regs: &mut HostRegs) {
    if esr & (FSC_CLASS | 0b11) == TLB_CONFLICT {
        // Where blocks are split in place (FEAT_BBM level 2) this may come. Without entries there is no conflict: again.
        Machine.tlbi_vmalls12e1is();
        Machine.dsb_ish();
        return;
    }
    let ipa = || Ipa((sysreg::read!("hpfar_el2") & FIPA) << 8);
    if esr & FSC_CLASS == TRANSLATION && mmio::perform(esr, ipa(), regs) {
        return;
    }
    let mended = esr & FSC_CLASS == TRANSLATION && hyp().host_abort(ipa());
    if !mended {
        inject::abort(esr);
    } else if faulty::is_stepped_over(false) && mmio::is_opaque(esr) {
        mmio::step_over(esr);
    }
}
