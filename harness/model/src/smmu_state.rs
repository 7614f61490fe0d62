//! The SMMU as its registers, stream table and stage-2 tables say it is.

use parallax_addr::{Ipa, PhysAddr};
use parallax_smmu::{Config, Ste};
use serde::{Deserialize, Serialize};

use crate::leaf::S2Entry;
use crate::runs::Runs;

/// A queue: where, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// First byte.
    pub base: PhysAddr,
    /// log2 of the number of entries.
    pub log2size: u8,
    /// Bits of the register's address below the queue's size, which the SMMU takes for zero.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub below: u64,
}

/// Whether a field says nothing, and is left out of a recording.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// Registers that decide what a transaction meets (IHI 0070, 6.3). Queue indices are not among them: they move
/// with every command and say nothing about what is reachable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmmuControl {
    /// CR0.SMMUEN as acknowledged (CR0ACK).
    pub enabled: bool,
    /// CR0ACK.CMDQEN.
    pub cmdq_enabled: bool,
    /// CR0ACK.EVENTQEN.
    pub evtq_enabled: bool,
    /// GBPA.ABORT: with SMMUEN = 0 every transaction aborts.
    pub gbpa_abort: bool,
    /// CR1, the attributes of table and queue accesses.
    pub cr1: u32,
    /// CR2: RECINVSID, E2H, PTM.
    pub cr2: u32,
    /// IRQ_CTRL.
    pub irq_ctrl: u32,
    /// Where global errors and events are written as MSIs (GERROR_IRQ_CFG0, EVENTQ_IRQ_CFG0); 0 for nowhere.
    #[serde(default)]
    pub msi: [u64; 2],
    /// Errors that are active: GERROR exclusive-or GERRORN.
    pub gerror: u32,
    /// CMDQ_CONS.ERR.
    pub cmdq_error: u8,
    /// STRTAB_BASE.ADDR.
    pub strtab_base: PhysAddr,
    /// Bits of STRTAB_BASE.ADDR below the table's size, which the SMMU takes for zero.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub strtab_below: u64,
    /// STRTAB_BASE_CFG.LOG2SIZE: StreamIDs below 2^this have an entry.
    pub strtab_log2size: u8,
    /// STRTAB_BASE_CFG.SPLIT of a two-level table, or none for a linear one.
    pub strtab_split: Option<u8>,
    /// CMDQ_BASE.
    pub cmdq: Queue,
    /// EVENTQ_BASE.
    pub evtq: Queue,
    /// Output address size in bits, from IDR5.OAS.
    pub output_bits: u8,
    /// IDR1.ATTR_TYPES_OVR: MTCFG and SHCFG of an STE have an effect.
    pub attr_types_ovr: bool,
    /// IDR3.RIL: a TLBI may name a range of addresses.
    #[serde(default)]
    pub ranges: bool,
}

/// What a valid STE (V = 1) means.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stream {
    /// The entry, see [`Stream::ste`], with S2TTB cleared: the table stands in [`Self::table`].
    pub dwords: [u64; 8],
    /// Index into [`SmmuState::tables`], where stage 2 translates and its fields are legal.
    pub table: Option<usize>,
    /// Bits of S2TTB below the root's size, which the SMMU takes for zero.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub root_below: u64,
    /// Why the hardware calls the entry ILLEGAL (C_BAD_STE); empty when it does not.
    pub illegal: String,
}

impl Stream {
    /// Bits of dword 3 that hold S2TTB.
    pub const S2TTB: u64 = 0x00ff_ffff_ffff_fff0;

    /// The entry by field, without S2TTB.
    #[must_use]
    pub const fn ste(&self) -> Ste {
        Ste(self.dwords)
    }

    /// What happens to the stream's transactions.
    #[must_use]
    pub const fn config(&self) -> Config {
        self.ste().config()
    }
}

/// One stage-2 table that streams use. Streams with the same S2TTB, input size and start level share it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmmuTable {
    /// S2TTB.
    pub root: PhysAddr,
    /// Input address size in bits.
    pub input_bits: u8,
    /// What it maps, by IPA.
    pub entries: Runs<Ipa, S2Entry>,
}

/// The SMMU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmmuState {
    /// Registers.
    pub control: SmmuControl,
    /// Valid STEs by StreamID. A StreamID without a run has V = 0 or no entry at all: its transactions abort.
    pub streams: Runs<u64, Stream>,
    /// Stage-2 tables in the order of the first StreamID that uses each.
    pub tables: Vec<SmmuTable>,
    /// CMDQ_PROD, index and wrap bit: the queue's next command comes there.
    #[serde(skip)]
    pub next_command: u32,
}

impl SmmuState {
    /// The STE of a stream, if it is valid.
    #[must_use]
    pub fn stream(&self, sid: u32) -> Option<&Stream> {
        crate::run::find(&self.streams, u64::from(sid)).map(|run| &run.value)
    }
}
