//! The SMMU's TLB maintenance: commands, and what must follow them where a stream is nested.

use super::{cmdq::Command, device::Smmu};
use crate::{
    addr::{Ipa, PAGE_SIZE},
    fault::{self, Fault},
    hw::{Cpu, Memory, Mmio},
    smmu::{SmmuTlb, Vmid},
};

/// Up to this many pages are invalidated one by one, more of them together with everything else.
const TLBI_PAGES: u64 = 16;

/// The VMID that TLBI commands name.
fn vmid() -> Vmid {
    if fault::on(Fault::SmmuTlbiWrongVmid) { Vmid(1) } else { Vmid::HOST }
}

impl<R: Mmio, M: Memory, C: Cpu> SmmuTlb for Smmu<R, M, C> {
    fn tlbi_s2_ipa(&mut self, ipa: Ipa, size: u64) {
        if size > TLBI_PAGES * PAGE_SIZE && !fault::on(Fault::SmmuQueueOverrun) {
            self.tlbi_s12_vmall();
            return;
        }
        if fault::on(Fault::SmmuNoTlbi) {
            return;
        }
        self.stage2_changed = true;
        let shift = if fault::on(Fault::SmmuTlbiWrongIpa) { PAGE_SIZE } else { 0 };
        for offset in (0..size).step_by(PAGE_SIZE as usize) {
            self.command(Command::TlbiS2Ipa(vmid(), ipa.add(offset + shift)));
        }
    }

    fn tlbi_s12_vmall(&mut self) {
        if !fault::on(Fault::SmmuNoTlbi) {
            self.command(Command::TlbiS12Vmall(vmid()));
        }
    }

    fn sync(&mut self) {
        // Combined entries of a nested stream are not reached by IPA: they follow once stage 2's are gone.
        let combined = core::mem::take(&mut self.stage2_changed) && self.combined;
        let early = combined && fault::on(Fault::SmmuCombinedFirst);
        if early {
            self.command(Command::TlbiNhAll(vmid()));
        }
        self.wait();
        if combined && !early && !fault::on(Fault::EmulMissingNhAll) {
            self.command(Command::TlbiNhAll(vmid()));
            self.wait();
            self.combined = self.nested != 0;
        }
    }
}
