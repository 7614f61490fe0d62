//! The SMMU's TLB maintenance: commands, and what must follow them where a stream is nested.

use super::{
    cmdq::Command,
    device::Smmu,
    evtq::Event,
    regs::{GERROR, GERRORN, Gerror},
};
use crate::{
    addr::{Ipa, PAGE_SIZE},
    faulty,
    hw::{Cpu, Memory, Mmio},
    smmu::{SmmuTlb, Vmid},
};

/// Up to this many pages are invalidated one by one, more of them together with everything else.
const TLBI_PAGES: u64 = 16;

impl<R: Mmio, M: Memory, C: Cpu> SmmuTlb for Smmu<R, M, C> {
    fn tlbi_s2_ipa(&mut self, ipa: Ipa, size: u64) {
        if size > faulty::single_bytes(TLBI_PAGES * PAGE_SIZE) {
            self.tlbi_s12_vmall();
            return;
        }
        self.stage2_changed = true;
        for offset in (0..size).step_by(PAGE_SIZE as usize) {
            self.command(Command::TlbiS2Ipa(Vmid::HOST, ipa.add(offset)));
        }
    }

    fn tlbi_s12_vmall(&mut self) {
        self.command(Command::TlbiS12Vmall(Vmid::HOST));
    }

    fn sync(&mut self) {
        // Combined entries of a nested stream are not reached by IPA: they follow once stage 2's are gone.
        let combined = core::mem::take(&mut self.stage2_changed) && self.combined;
        let combined = faulty::combined_first(self, combined);
        self.wait();
        if combined {
            self.command(Command::TlbiNhAll(Vmid::HOST));
            self.wait();
            self.combined = self.nested != 0;
        }
    }

    #[inline(never)]
    fn take_event(&mut self) -> Option<Event> {
        let acknowledged = self.hw.regs.read32(GERRORN);
        let active = Gerror::from_bits_retain(self.hw.regs.read32(GERROR) ^ acknowledged);
        if active.contains(Gerror::EVENTQ_ABT_ERR) {
            self.hw.cpu.tell(&"the SMMU could not write an event: events are lost");
            self.hw.regs.write32(GERRORN, acknowledged ^ Gerror::EVENTQ_ABT_ERR.bits());
        }
        self.evtq.pop(&self.hw)
    }
}
