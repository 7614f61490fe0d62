//! The command queue (IHI 0070, chapter 4).
//!
//! Commands are written to memory as they come; the SMMU learns of them when the queue is flushed, after a barrier
//! that makes the commands and every earlier table write visible. One flush carries a batch of commands, and a full
//! queue flushes itself. All waits are bounded.

use super::{
    error::SmmuError,
    hardware::Hardware,
    queue::Ring,
    regs::{
        BASE_ALLOCATE, CERROR_ILL, CMDQ_BASE, CMDQ_CONS, CMDQ_CONS_ERR, CMDQ_PROD, GERROR, GERRORN, Gerror,
    },
};
use crate::{
    addr::{Ipa, PhysAddr},
    faulty,
    hw::{Cpu, Memory, Mmio},
    smmu::{StreamId, Vmid},
};

/// Bytes of a command.
pub(in crate::smmu) const ENTRY_SIZE: u64 = 16;

/// Opcodes that the hypervisor gives for the host only: CFGI_STE_RANGE, CFGI_CD, CFGI_CD_ALL, TLBI_NH_ASID, NH_VA, NH_VAA.
const HOSTS: [u8; 6] = [0x04, 0x05, 0x06, 0x11, 0x12, 0x13];

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// CMD_CFGI_STE: forget the configuration of a stream, its level-1 descriptor included.
    CfgiSte(StreamId),
    /// CMD_CFGI_ALL: forget all configuration.
    CfgiAll,
    /// CMD_TLBI_NH_ALL: stage-1 and combined entries of a VMID.
    TlbiNhAll(Vmid),
    /// CMD_TLBI_EL2_ALL: entries of EL2 streams.
    TlbiEl2All,
    /// CMD_TLBI_S12_VMALL: all entries of a VMID, both stages.
    TlbiS12Vmall(Vmid),
    /// CMD_TLBI_S2_IPA: stage-2 entries, of any level, that translate the page.
    TlbiS2Ipa(Vmid, Ipa),
    /// CMD_TLBI_NSNH_ALL: all entries except those of EL2 streams.
    TlbiNsnhAll,
    /// A command of the host that was checked and put together anew ([`crate::smmu::viommu`]).
    Checked([u64; 2]),
    /// CMD_SYNC without a signal: consumed when everything before it is complete.
    Sync,
}

impl Command {
    /// The two dwords of the command, 4.3 to 4.7.
    #[must_use]
    pub const fn encode(self) -> [u64; 2] {
        match self {
            Self::CfgiSte(stream) => [0x03 | (stream.0 as u64) << 32, 0],
            Self::CfgiAll => [0x04, 31],
            Self::TlbiNhAll(vmid) => [0x10 | (vmid.0 as u64) << 32, 0],
            Self::TlbiEl2All => [0x20, 0],
            Self::TlbiS12Vmall(vmid) => [0x28 | (vmid.0 as u64) << 32, 0],
            Self::TlbiS2Ipa(vmid, ipa) => [0x2a | (vmid.0 as u64) << 32, ipa.0 & 0x000f_ffff_ffff_f000],
            Self::TlbiNsnhAll => [0x30, 0],
            Self::Checked(dwords) => dwords,
            Self::Sync => [0x46, 0],
        }
    }
}

/// The command queue. Only this driver writes its registers.
#[derive(Debug)]
pub(in crate::smmu) struct CommandQueue {
    ring: Ring,
    prod: u32,
    cons: u32,
    /// The first command of the host's that the hardware refused, since this was last taken.
    pub(in crate::smmu) refused: Option<[u64; 2]>,
}

impl CommandQueue {
    /// An empty queue of 2^`log2` commands at `base`, set up in hardware while CR0.CMDQEN = 0.
    pub(super) fn new(regs: &impl Mmio, base: PhysAddr, log2: u32) -> Result<Self, SmmuError> {
        let ring = faulty::cmdq_ring(Ring::new("the command queue", base, log2, ENTRY_SIZE)?);
        regs.write64(CMDQ_BASE, ring.base_register() | BASE_ALLOCATE);
        regs.write32(CMDQ_PROD, 0);
        regs.write32(CMDQ_CONS, 0);
        Ok(Self { ring, prod: 0, cons: 0, refused: None })
    }

    /// Adds a command. A full queue is flushed first.
    pub(super) fn push<R: Mmio, M: Memory, C: Cpu>(
        &mut self,
        hw: &Hardware<R, M, C>,
        command: Command,
    ) -> Result<(), SmmuError> {
        let Some(command) = faulty::command(command) else { return Ok(()) };
        if faulty::is_full(self.ring.is_full(self.prod, self.cons)) {
            self.flush(hw)?;
        }
        let slot = self.ring.slot(self.prod);
        let [low, high] = command.encode();
        hw.mem.write(slot, low);
        hw.mem.write(slot.add(8), high);
        self.prod = self.ring.next(self.prod);
        Ok(())
    }

    /// Adds CMD_SYNC, hands everything to the SMMU and waits until it is complete.
    pub(super) fn sync<R: Mmio, M: Memory, C: Cpu>(
        &mut self,
        hw: &Hardware<R, M, C>,
    ) -> Result<(), SmmuError> {
        self.push(hw, Command::Sync)?;
        self.flush(hw)
    }

    /// Hands everything to the SMMU and waits until it is consumed. A command of which only the host needs the effect makes
    /// way when it is refused.
    fn flush<R: Mmio, M: Memory, C: Cpu>(&mut self, hw: &Hardware<R, M, C>) -> Result<(), SmmuError> {
        faulty::commands_visible(&hw.cpu);
        hw.regs.write32(CMDQ_PROD, self.prod);
        while let Some(reason) = self.consumed(hw)? {
            let slot = self.ring.slot(self.cons);
            let command = [hw.mem.read(slot), hw.mem.read(slot.add(8))];
            let opcode = command[0].to_le_bytes()[0];
            if reason != CERROR_ILL || !HOSTS.contains(&opcode) {
                return Err(SmmuError::Command { reason, opcode });
            }
            self.refused.get_or_insert(command);
            let [low, high] = Command::Sync.encode();
            hw.mem.write(slot, low);
            hw.mem.write(slot.add(8), high);
            hw.cpu.dsb_sy();
            hw.regs.write32(GERRORN, hw.regs.read32(GERRORN) ^ Gerror::CMDQ_ERR.bits());
        }
        Ok(())
    }

    /// Waits until all commands are consumed, or one is refused: why.
    fn consumed<R: Mmio, M: Memory, C: Cpu>(
        &mut self,
        hw: &Hardware<R, M, C>,
    ) -> Result<Option<u32>, SmmuError> {
        let mut refused = None;
        hw.poll("CMDQ_CONS", |regs| {
            self.cons = self.ring.wrap(faulty::cmdq_cons(regs, self.prod));
            if self.cons == self.prod {
                return true;
            }
            let active = regs.read32(GERROR) ^ regs.read32(GERRORN);
            if active & Gerror::CMDQ_ERR.bits() != 0 {
                // The reason is there once the error is: read it again.
                refused = Some(CMDQ_CONS_ERR.of(regs.read32(CMDQ_CONS)));
            }
            refused.is_some()
        })?;
        Ok(refused)
    }
}
