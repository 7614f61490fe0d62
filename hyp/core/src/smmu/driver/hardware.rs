//! The SMMU's registers together with what they are used with, and the waits on them.

use super::{
    error::SmmuError,
    regs::{CR0, CR0ACK, Cr0, GBPA, Gbpa},
};
use crate::{faulty, hw::Mmio};

/// How often a register is read before the SMMU counts as dead.
const POLLS: u32 = 1_000_000;

/// One SMMU's registers, the memory that holds its tables, and the CPU's barriers.
#[derive(Debug)]
pub(in crate::smmu) struct Hardware<R, M, C> {
    pub(in crate::smmu) regs: R,
    pub(in crate::smmu) mem: M,
    pub(in crate::smmu) cpu: C,
}

impl<R: Mmio, M, C> Hardware<R, M, C> {
    /// Waits, not for ever, until `done`.
    pub(in crate::smmu) fn poll(
        &self,
        what: &'static str,
        mut done: impl FnMut(&R) -> bool,
    ) -> Result<(), SmmuError> {
        for _ in 0..POLLS {
            if done(&self.regs) {
                return Ok(());
            }
            core::hint::spin_loop();
        }
        Err(SmmuError::Timeout(what))
    }

    /// Writes a register and waits until its acknowledgement shows the value.
    pub(in crate::smmu) fn write_ack(
        &self,
        what: &'static str,
        offset: u64,
        ack: u64,
        value: u32,
    ) -> Result<(), SmmuError> {
        self.regs.write32(offset, value);
        self.poll(what, |regs| regs.read32(ack) == value)
    }

    /// Writes CR0 and waits until it has taken effect.
    pub(in crate::smmu) fn write_cr0(&self, value: Cr0) -> Result<(), SmmuError> {
        self.write_ack("CR0ACK", CR0, CR0ACK, value.bits())
    }

    /// Has all traffic aborted while translation is off (GBPA's update procedure, 6.3.14).
    pub(in crate::smmu) fn abort_bypass(&self) -> Result<(), SmmuError> {
        let updated = |regs: &R| regs.read32(GBPA) & Gbpa::UPDATE.bits() == 0;
        self.poll("GBPA.UPDATE", updated)?;
        let attributes = self.regs.read32(GBPA);
        self.regs.write32(GBPA, attributes | faulty::gbpa_closed(Gbpa::ABORT | Gbpa::UPDATE).bits());
        self.poll("GBPA.UPDATE", updated)
    }
}
