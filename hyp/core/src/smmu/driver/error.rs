//! What can be wrong with an SMMU or with what it was given.

use crate::addr::PhysAddr;
use crate::smmu::StreamId;

/// An error of the SMMU driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmmuError {
    /// The SMMU lacks what the hypervisor cannot do without.
    #[error("the SMMU has no {what} ({register} {value:#010x})")]
    Unsupported {
        /// What is missing.
        what: &'static str,
        /// The identification register that says so.
        register: &'static str,
        /// Its value.
        value: u32,
    },
    /// More bits of an address or of a StreamID than the SMMU has, or a number of bits that no SMMU has.
    #[error("{asked} {what} bits asked for, the SMMU has {max}")]
    Bits {
        /// Bits of what.
        what: &'static str,
        /// What was asked for.
        asked: u32,
        /// What the SMMU has.
        max: u32,
    },
    /// The StreamID lies outside of the stream table.
    #[error("StreamID {} is outside of the stream table", .0.0)]
    NoSuchStream(StreamId),
    /// Memory for a table or a queue is not aligned as the architecture wants it.
    #[error("{what} at {pa} is not aligned to {align:#x}")]
    Misaligned {
        /// What was to lie there.
        what: &'static str,
        /// Where it was to lie.
        pa: PhysAddr,
        /// The alignment it needs, in bytes.
        align: u64,
    },
    /// A walk of this input size cannot start at this level.
    #[error("a walk of {bits} bits cannot start at level {level}")]
    StartLevel {
        /// Bits of the input address.
        bits: u32,
        /// The level asked for.
        level: u32,
    },
    /// The SMMU did not answer in time.
    #[error("the SMMU did not answer: {0}")]
    Timeout(&'static str),
    /// The command queue stopped at a command.
    #[error("the SMMU refused command {opcode:#04x}: CERROR {reason}")]
    Command {
        /// CMDQ_CONS.ERR (7.1): 1 CERROR_ILL, 2 CERROR_ABT, 3 CERROR_ATC_INV_SYNC.
        reason: u32,
        /// The command's opcode.
        opcode: u8,
    },
}
