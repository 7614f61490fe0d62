//! The event queue (IHI 0070, 7.2 and 7.3): what the SMMU refused.

use super::{
    error::SmmuError,
    hardware::Hardware,
    queue::Ring,
    regs::{BASE_ALLOCATE, EVENTQ_BASE, EVENTQ_CONS, EVENTQ_PROD, OVERFLOW},
};
use crate::{
    addr::PhysAddr,
    hw::{Cpu, Memory, Mmio},
};

/// Bytes of an event record.
pub(in crate::smmu) const ENTRY_SIZE: u64 = 32;

/// An event record: its four dwords (7.3). Number in bits 7:0 of the first (0x02 C_BAD_STREAMID, 0x10 F_TRANSLATION, 0x13
/// F_PERMISSION and so on), StreamID in its bits 63:32; the third is the input address, UNKNOWN for errors of configuration.
pub type Event = [u64; 4];

/// The event queue.
#[derive(Debug)]
pub(super) struct EventQueue {
    ring: Ring,
    cons: u32,
    /// EVENTQ_CONS.OVACKFLG: the overflow flag that was seen last.
    acknowledged: u32,
}

impl EventQueue {
    /// An empty queue of 2^`log2` records at `base`, set up in hardware while CR0.EVENTQEN = 0.
    pub(super) fn new(regs: &impl Mmio, base: PhysAddr, log2: u32) -> Result<Self, SmmuError> {
        let ring = Ring::new("the event queue", base, log2, ENTRY_SIZE)?;
        regs.write64(EVENTQ_BASE, crate::faulty::evtq_base(ring.base_register()) | BASE_ALLOCATE);
        regs.write32(EVENTQ_PROD, 0);
        regs.write32(EVENTQ_CONS, 0);
        Ok(Self { ring, cons: 0, acknowledged: 0 })
    }

    /// Takes the oldest record. An overflow is acknowledged, so that recording goes on.
    pub(super) fn pop<R: Mmio, M: Memory, C: Cpu>(&mut self, hw: &Hardware<R, M, C>) -> Option<Event> {
        let prod = hw.regs.read32(EVENTQ_PROD);
        let overflowed = prod & OVERFLOW != self.acknowledged;
        if overflowed {
            self.acknowledged = prod & OVERFLOW;
            hw.cpu.tell(&"the SMMU's event queue was full: events are lost");
        }
        let event = if self.ring.wrap(prod) == self.cons {
            None
        } else {
            // The record is read after the index that says it is there.
            crate::faulty::record_ordered(&hw.cpu);
            let slot = self.ring.slot(self.cons);
            self.cons = self.ring.next(self.cons);
            Some([0, 8, 16, 24].map(|offset| hw.mem.read(slot.add(offset))))
        };
        if event.is_some() || overflowed {
            // The record is read before the SMMU may overwrite it.
            hw.cpu.dsb_sy();
            hw.regs.write32(EVENTQ_CONS, self.cons | self.acknowledged);
        }
        event
    }
}
