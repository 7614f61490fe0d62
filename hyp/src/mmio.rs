//! The host's accesses to registers of the SMMU and the ITS that it sees, taken apart by their syndrome (Arm ARM D24.2.40, "ISS encoding
//! for an exception from a Data Abort").

use core::fmt::Display;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use hyp_core::addr::Ipa;

use crate::boot::hyp;
use crate::console::log;
use crate::traps::HostRegs;
use crate::{gic, lpi, sysreg};

const EC_DABT_LOW: u64 = 0x24;
/// ESR_EL2.IL: the instruction has 32 bits.
const IL: u64 = 1 << 25;
/// The fields from SAS to AR are valid.
const ISV: u64 = 1 << 24;
/// Sign extension.
const SSE: u64 = 1 << 21;
/// A 64-bit register.
const SF: u64 = 1 << 15;
/// Stage 2 refused an access of stage 1's walk.
const S1PTW: u64 = 1 << 7;
/// A write.
const WNR: u64 = 1 << 6;
/// SPSR_EL2.BTYPE and SPSR_EL2.SS, which the execution of an instruction clears.
const SPSR_BTYPE_SS: u64 = 0b11 << 10 | 1 << 21;

/// How many refusals are logged one by one.
const TOLD: u64 = 32;

/// Performs the host's access to `ipa` (its page; the offset is in FAR_EL2) if it is to such registers, and goes on
/// behind it. `false` leaves the abort to others: no such register is there, or the syndrome does not tell what the
/// instruction does (load of a pair, cache maintenance, fetch).
pub(crate) fn perform(esr: u64, ipa: Ipa, regs: &mut HostRegs) -> bool {
    if esr >> 26 & 0x3f != EC_DABT_LOW || esr & ISV == 0 || esr & S1PTW != 0 {
        return false;
    }
    let address = ipa.add(sysreg::read!("far_el2") & 0xfff).identity();
    let width = 1 << (esr >> 22 & 0b11);
    let register = hyp_core::faulty::register((esr >> 16 & 0x1f) as usize);
    // x31 is the zero register.
    let write = (esr & WNR != 0).then(|| regs.x.get(register).copied().unwrap_or(0));
    let of_smmu = hyp().smmu_access(address, width, write).map(|outcome| ("SMMU", outcome));
    let found = of_smmu.or_else(|| lpi::access(address, width, write).map(|outcome| ("GIC", outcome)));
    let Some((device, outcome)) = found else { return false };
    if outcome.gerror {
        gic::raise_gerror();
    }
    outcome.refusal.iter().for_each(|refusal| tell(device, refusal));
    if write.is_none()
        && let Some(target) = regs.x.get_mut(register)
    {
        *target = extend(outcome.value, width, hyp_core::faulty::load_syndrome(esr));
    }
    step_over(esr);
    true
}

/// Whether this is a load or store of the host of which the syndrome does not tell what it does.
pub(crate) const fn is_opaque(esr: u64) -> bool {
    esr >> 26 & 0x3f == EC_DABT_LOW && esr & (ISV | S1PTW) == 0
}

/// The host goes on behind the instruction with syndrome `esr`.
pub(crate) fn step_over(esr: u64) {
    let next = sysreg::read!("elr_el2").wrapping_add(if esr & IL == 0 { 2 } else { 4 });
    let spsr = sysreg::read!("spsr_el2") & !SPSR_BTYPE_SS;
    // SAFETY: the instruction was performed for the host.
    unsafe {
        sysreg::write!("elr_el2", next);
        sysreg::write!("spsr_el2", spsr);
    }
}

/// Logs what the host did not get: the first [`TOLD`] times, then whenever the number has doubled, because the console
/// is slow and the host decides how often.
fn tell(device: &str, refusal: &dyn Display) {
    static REFUSALS: AtomicU64 = AtomicU64::new(0);
    let nr = REFUSALS.fetch_add(1, Relaxed) + 1;
    if nr <= TOLD || nr.is_power_of_two() {
        log!("{device}: {refusal} (refusal {nr})");
    }
}

/// What a load of `width` bytes puts into its register.
const fn extend(value: u64, width: u64, esr: u64) -> u64 {
    let unused = 64 - 8 * width as u32;
    let wide =
        if esr & SSE == 0 { value << unused >> unused } else { ((value << unused) as i64 >> unused) as u64 };
    if esr & SF == 0 { wide & 0xffff_ffff } else { wide }
}
