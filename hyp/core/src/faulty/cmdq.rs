//! Commands that are lost, or name something else, on their way into the SMMU's queue, and a queue that is not watched.

use crate::addr::PAGE_SIZE;
use crate::fault::{Fault, on};
use crate::hw::{Cpu, Memory, Mmio};
use crate::smmu::regs::{CMDQ_CONS, Cr0, Gbpa};
use crate::smmu::{Command, Smmu, SmmuError, SmmuTlb, Vmid};

/// The command that the queue gets; `None` for none.
#[inline(always)]
pub(crate) fn command(command: Command) -> Option<Command> {
    use Command::{Sync, TlbiNhAll, TlbiS2Ipa, TlbiS12Vmall};
    match command {
        TlbiS2Ipa(..) | TlbiS12Vmall(_) if on(Fault::SmmuNoTlbi) => None,
        TlbiNhAll(_) if on(Fault::ViommuMissingNhAll) => None,
        Sync if on(Fault::SmmuSyncSkipped) => None,
        TlbiS2Ipa(_, ipa) if on(Fault::SmmuTlbiWrongVmid) => Some(TlbiS2Ipa(Vmid(1), ipa)),
        TlbiS12Vmall(_) if on(Fault::SmmuTlbiWrongVmid) => Some(TlbiS12Vmall(Vmid(1))),
        TlbiNhAll(_) if on(Fault::SmmuTlbiWrongVmid) => Some(TlbiNhAll(Vmid(1))),
        TlbiS2Ipa(vmid, ipa) if on(Fault::SmmuTlbiWrongIpa) => Some(TlbiS2Ipa(vmid, ipa.add(PAGE_SIZE))),
        _ => Some(command),
    }
}

/// Whether the queue has no room.
#[inline(always)]
pub(crate) fn is_full(right: bool) -> bool {
    right && !on(Fault::SmmuQueueOverrun)
}

/// The most bytes that are invalidated page by page.
#[inline(always)]
pub(crate) fn single_bytes(right: u64) -> u64 {
    if on(Fault::SmmuQueueOverrun) { u64::MAX } else { right }
}

/// Makes the commands visible, before CMDQ_PROD tells of them.
#[inline(always)]
pub(crate) fn commands_visible(cpu: &impl Cpu) {
    if !on(Fault::SmmuProdBeforeDsb) {
        cpu.dsb_sy();
    }
}

/// Has what follows, the loads of an event record, wait for EVENTQ_PROD.
#[inline(always)]
pub(crate) fn record_ordered(cpu: &impl Cpu) {
    if !on(Fault::SmmuEventReadEarly) {
        cpu.dsb_sy();
    }
}

/// CMDQ_CONS, after CMDQ_PROD was set to `prod`.
#[inline(always)]
pub(crate) fn cmdq_cons(regs: &impl Mmio, prod: u32) -> u32 {
    if on(Fault::SmmuSyncNotAwaited) { prod } else { regs.read32(CMDQ_CONS) }
}

/// GBPA, with which the SMMU is closed.
#[inline(always)]
pub(crate) fn gbpa_closed(gbpa: Gbpa) -> Gbpa {
    if on(Fault::SmmuLeftDisabled) { gbpa - Gbpa::ABORT } else { gbpa }
}

/// CR0, with which the SMMU is opened.
#[inline(always)]
pub(crate) fn cr0_opened(cr0: Cr0) -> Cr0 {
    if on(Fault::SmmuLeftDisabled) { cr0 - Cr0::SMMUEN } else { cr0 }
}

/// Whether TLBI_NH_ALL must follow once stage 2's own invalidation is complete.
#[inline(always)]
pub(crate) fn combined_first<R: Mmio, M: Memory, C: Cpu>(smmu: &mut Smmu<R, M, C>, right: bool) -> bool {
    if right && on(Fault::SmmuCombinedFirst) {
        smmu.command(Command::TlbiNhAll(Vmid::HOST));
        return false;
    }
    right
}

/// Whether combined entries may exist while `nested` streams are nested.
#[inline(always)]
pub(crate) fn may_be_combined(right: bool, nested: u64) -> bool {
    right && !(nested == 0 && on(Fault::ViommuCombinedSurvive))
}

/// Waits until a step of an entry is seen.
#[inline(always)]
pub(crate) fn sync_step(tlb: &mut impl SmmuTlb) {
    if !on(Fault::SteStepsNotSynced) {
        tlb.sync();
    }
}

/// What comes of commands that did not complete.
#[inline(always)]
pub(crate) fn fail<R: Mmio, M: Memory, C: Cpu>(smmu: &mut Smmu<R, M, C>, error: SmmuError) {
    if !on(Fault::SmmuErrorIgnored) {
        smmu.fail(error);
    }
}
