//! The physical SMMU's driver as the host's SMMU uses it.

use super::Physical;
use crate::faulty;
use crate::hw::{Cpu, Memory, Mmio};
use crate::smmu::regs::{CR0, Cr0, EVENTQ_BASE};
use crate::smmu::{Command, Features, Smmu, SmmuTlb, Stage2, Ste, StreamId};

impl<R: Mmio, M: Memory, C: Cpu> Physical for Smmu<R, M, C> {
    fn register(&self, offset: u64) -> u32 {
        self.hw.regs.read32(offset)
    }

    fn set_register(&mut self, offset: u64, value: u32) {
        self.hw.regs.write32(offset, value);
    }

    fn features(&self) -> &Features {
        &self.features
    }

    fn stage2(&self) -> &Stage2 {
        &self.stage2
    }

    fn sid_bits(&self) -> u32 {
        self.strtab.sid_bits()
    }

    fn confine(&mut self, stream: StreamId, ste: &Ste) -> bool {
        let entry = self.strtab.ste(stream).filter(|&entry| Ste::read(&self.hw.mem, entry) != *ste);
        let Some(entry) = entry else { return false };
        if !faulty::confine(&self.hw.mem, entry, ste) {
            // A failed SMMU translates nothing any more, so its entry does not matter.
            let _ = self.replace_ste(stream, ste);
        }
        true
    }

    fn issue(&mut self, command: [u64; 2]) {
        self.command(Command::Checked(command));
    }

    fn complete(&mut self) -> (Option<[u64; 2]>, bool) {
        self.sync();
        (self.cmdq.refused.take(), self.failure().is_some())
    }

    fn record_events(&mut self, base: Option<u64>) {
        let now = Cr0::from_bits_truncate(self.hw.regs.read32(CR0));
        let turned = match base {
            Some(base) => {
                self.hw.regs.write64(EVENTQ_BASE, base);
                now | Cr0::EVENTQEN
            }
            None => now - faulty::events_off(Cr0::EVENTQEN),
        };
        if let Err(error) = self.hw.write_cr0(turned) {
            self.fail(error);
        }
    }
}
