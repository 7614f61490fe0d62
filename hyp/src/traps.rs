//! Exits of the host: who handles what.

use crate::boot::hyp;
use crate::sysreg;
use crate::{abort, inject, mmio, psci};
use hyp_core::{hypercall, id, smccc};
use parallax_abi::errno::SMCCC_NOT_SUPPORTED;
use parallax_abi::operation::Hypercall;

/// The host's x0 to x30 during an exit (`vectors.s` knows the order); during a hypercall without x19 to x28. ELR_EL2 and
/// SPSR_EL2 stay in the registers.
#[repr(C, align(16))]
pub(crate) struct HostRegs {
    /// x0 to x30.
    pub(crate) x: [u64; 31],
}

/// ESR_EL2.EC values (Arm ARM D24.2.40) that mean something here.
mod ec {
    pub(super) const SMC64: u64 = 0x17;
    pub(super) const SYSTEM: u64 = 0x18;
    pub(super) const IABT_LOW: u64 = 0x20;
    pub(super) const DABT_LOW: u64 = 0x24;
}

/// A synchronous exception of the host that is no hypercall. It does not return to the vector: so it need not keep registers, which all are in `regs`.
#[unsafe(no_mangle)]
extern "C" fn host_sync(regs: &mut HostRegs) -> ! {
    let esr = sysreg::read!("esr_el2");
    match esr >> 26 & 0x3f {
        ec::SMC64 => {
            secure_call(regs);
            // An SMC trapped by HCR_EL2.TSC returns to itself.
            mmio::step_over(esr);
        }
        ec::SYSTEM => match id::Access::decode(esr) {
            Some(id::Access { crm, op2, target }) => {
                let value = id::shown(crm, op2, sysreg::id_register(crm, op2));
                regs.x.get_mut(target).into_iter().for_each(|x| *x = value);
                mmio::step_over(esr);
            }
            None => inject::undefined(),
        },
        ec::IABT_LOW | ec::DABT_LOW => abort::handle(esr, regs),
        _ => inject::undefined(),
    }
    // SAFETY: `host_return` (vectors.s) takes the frame at SP, which is where it was when the vector came here; below it nothing is used again.
    unsafe { core::arch::asm!("mov sp, {}", "b host_return", in(reg) regs, options(noreturn)) }
}

/// A hypercall. It returns to the vector with x19 to x28 as they were, which are not in `regs`.
#[unsafe(no_mangle)]
extern "C" fn host_hypercall(regs: &mut HostRegs) {
    let [id, args @ .., _] = regs.x.first_chunk::<8>().expect("HostRegs has 31 registers");
    let results = match Hypercall::decode(*id, *args) {
        Some(call) => hypercall::dispatch(hyp(), call),
        None if psci::is_psci(*id) => return secure_call(regs),
        None => hypercall::UNKNOWN,
    };
    regs.x[..4].copy_from_slice(&results);
}

/// The host's SMC, or its HVC with a PSCI function.
fn secure_call(regs: &mut HostRegs) {
    let [id, a, b, c] = *regs.x.first_chunk().expect("HostRegs has 31 registers");
    let id = smccc::function(id);
    if smccc::is_forwarded(id, a) {
        regs.x[..4].copy_from_slice(&sysreg::smc([id, a, b, c]));
    } else {
        regs.x[0] = if psci::is_psci(id) { psci::call([id, a, b, c]) } else { SMCCC_NOT_SUPPORTED as u64 };
    }
}
