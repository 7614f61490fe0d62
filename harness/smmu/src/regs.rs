//! All SMMUv3 registers (IHI 0070, 6.3) that the decoders need: which to read, and the set of them decoded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::control::{Cr0, Cr1, Cr2, Gbpa, Gerror, IrqCtrl, QueueBase, StrtabBase, StrtabBaseCfg};
use crate::fields::bits;
use crate::idr::{Idr0, Idr1, Idr3, Idr5};
use crate::queue::Queue;
use crate::register::offsets::*;

/// Offsets from the SMMU's base address, for 32-bit reads. A 64-bit register is read as two halves, low half first.
/// EVENTQ_PROD and EVENTQ_CONS are in register page 1, at 0x10000 from page 0.
pub const OFFSETS: &[u32] = &[
    IDR0,
    IDR1,
    IDR3,
    IDR5,
    AIDR,
    CR0,
    CR0ACK,
    CR1,
    CR2,
    GBPA,
    IRQ_CTRL,
    GERROR,
    GERRORN,
    GERROR_IRQ_CFG0,
    GERROR_IRQ_CFG0 + 4,
    STRTAB_BASE,
    STRTAB_BASE + 4,
    STRTAB_BASE_CFG,
    CMDQ_BASE,
    CMDQ_BASE + 4,
    CMDQ_PROD,
    CMDQ_CONS,
    EVENTQ_BASE,
    EVENTQ_BASE + 4,
    EVENTQ_IRQ_CFG0,
    EVENTQ_IRQ_CFG0 + 4,
    EVENTQ_PROD,
    EVENTQ_CONS,
];

/// Those of [`OFFSETS`] that never change.
pub const CONSTANT: &[u32] = &[IDR0, IDR1, IDR3, IDR5, AIDR];

/// Values of registers by their offset from the SMMU's base address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawRegs(pub BTreeMap<u32, u32>);

/// A set of registers that is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegsError {
    /// The register at this offset was not read.
    #[error("SMMU register at offset {0:#07x} is missing")]
    Missing(u32),
}

impl RawRegs {
    fn word(&self, offset: u32) -> Result<[u64; 1], RegsError> {
        self.0.get(&offset).map(|value| [u64::from(*value)]).ok_or(RegsError::Missing(offset))
    }

    fn dword(&self, offset: u32) -> Result<[u64; 1], RegsError> {
        let ([low], [high]) = (self.word(offset)?, self.word(offset + 4)?);
        Ok([high << 32 | low])
    }
}

/// Error code in CMDQ_CONS.ERR (7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cerror {
    /// 0: no error.
    None,
    /// 1: a command is illegal.
    Ill,
    /// 2: the queue could not be read.
    Abt,
    /// 3: an ATS invalidation timed out before a CMD_SYNC.
    AtcInvSync,
    /// Any other code.
    Reserved(u8),
}

impl Cerror {
    /// From the seven bits of the field.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits {
            0 => Self::None,
            1 => Self::Ill,
            2 => Self::Abt,
            3 => Self::AtcInvSync,
            other => Self::Reserved(other),
        }
    }
}

/// The registers, by field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmmuRegs {
    /// IDR0.
    pub idr0: Idr0,
    /// IDR1.
    pub idr1: Idr1,
    /// IDR3.
    pub idr3: Idr3,
    /// IDR5.
    pub idr5: Idr5,
    /// AIDR: architecture revision, 0x00 for SMMUv3.0, 0x01 for SMMUv3.1 and so on.
    pub aidr: u32,
    /// CR0.
    pub cr0: Cr0,
    /// CR0ACK: CR0 as the SMMU has taken it over.
    pub cr0ack: Cr0,
    /// CR1.
    pub cr1: Cr1,
    /// CR2.
    pub cr2: Cr2,
    /// GBPA.
    pub gbpa: Gbpa,
    /// IRQ_CTRL.
    pub irq_ctrl: IrqCtrl,
    /// GERROR.
    pub gerror: Gerror,
    /// GERRORN.
    pub gerrorn: Gerror,
    /// GERROR_IRQ_CFG0.ADDR and EVENTQ_IRQ_CFG0.ADDR: where the SMMU writes its MSIs, past all translation; 0 for none.
    pub msi: [u64; 2],
    /// STRTAB_BASE.
    pub strtab_base: StrtabBase,
    /// STRTAB_BASE_CFG.
    pub strtab_base_cfg: StrtabBaseCfg,
    /// CMDQ_BASE, CMDQ_PROD, CMDQ_CONS.
    pub cmdq: Queue,
    /// EVENTQ_BASE, EVENTQ_PROD, EVENTQ_CONS.
    pub eventq: Queue,
}

impl SmmuRegs {
    /// Decodes the registers.
    ///
    /// # Errors
    /// [`RegsError::Missing`] unless all of [`OFFSETS`] are there.
    pub fn decode(raw: &RawRegs) -> Result<Self, RegsError> {
        let index = |offset| Ok(raw.word(offset)?[0] as u32);
        let idr1 = Idr1(raw.word(IDR1)?);
        Ok(Self {
            idr0: Idr0(raw.word(IDR0)?),
            idr1,
            idr3: Idr3(raw.word(IDR3)?),
            idr5: Idr5(raw.word(IDR5)?),
            aidr: index(AIDR)?,
            cr0: Cr0(raw.word(CR0)?),
            cr0ack: Cr0(raw.word(CR0ACK)?),
            cr1: Cr1(raw.word(CR1)?),
            cr2: Cr2(raw.word(CR2)?),
            gbpa: Gbpa(raw.word(GBPA)?),
            irq_ctrl: IrqCtrl(raw.word(IRQ_CTRL)?),
            gerror: Gerror(raw.word(GERROR)?),
            gerrorn: Gerror(raw.word(GERRORN)?),
            msi: [msi(raw.dword(GERROR_IRQ_CFG0)?), msi(raw.dword(EVENTQ_IRQ_CFG0)?)],
            strtab_base: StrtabBase(raw.dword(STRTAB_BASE)?),
            strtab_base_cfg: StrtabBaseCfg(raw.word(STRTAB_BASE_CFG)?),
            cmdq: Queue::commands(
                QueueBase(raw.dword(CMDQ_BASE)?),
                idr1.cmdqs(),
                index(CMDQ_PROD)?,
                index(CMDQ_CONS)?,
            ),
            eventq: Queue::events(
                QueueBase(raw.dword(EVENTQ_BASE)?),
                idr1.eventqs(),
                index(EVENTQ_PROD)?,
                index(EVENTQ_CONS)?,
            ),
        })
    }

    /// Errors that are active: the bits in which GERROR and GERRORN differ.
    #[must_use]
    pub const fn active_errors(&self) -> Gerror {
        Gerror([self.gerror.0[0] ^ self.gerrorn.0[0]])
    }

    /// CMDQ_CONS.ERR: why the command queue stopped. It means something while CMDQ_ERR is active.
    #[must_use]
    pub const fn cmdq_error(&self) -> Cerror {
        Cerror::from_bits(bits(self.cmdq.cons as u64, 30, 24) as u8)
    }
}

/// ADDR of an IRQ_CFG0 register.
fn msi([register]: [u64; 1]) -> u64 {
    register & 0x000f_ffff_ffff_fffc
}
