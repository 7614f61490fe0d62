//! What an access of the host came to, for those outside: a value, and what is to be told.

use crate::smmu::StreamId;
use crate::smmu::regs::Cr0;
use core::fmt;

/// An access that was performed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What the host reads; 0 for a write.
    pub value: u64,
    /// The first thing in it that the host did not get.
    pub refusal: Option<Refusal>,
    /// A global error became active and the host has its interrupt enabled.
    pub gerror: bool,
}

/// What the host wanted and did not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A register that is not there, or not in this width: reads as zero.
    Read(u64, u64),
    /// A write, by offset, width and value, to what is not there, is read-only, or cannot be written now.
    Write(u64, u64, u64),
    /// Bits of CR0 that stay 0: a queue or table that cannot be shared, or SMMUEN without CMDQEN.
    Cr0(Cr0),
    /// A command: CERROR_ILL.
    Command([u64; 2]),
    /// A stream whose entry, by its dword 0, is ILLEGAL on this SMMU: its traffic aborts.
    Entry(StreamId, u64),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(offset, width) => write!(f, "{width} bytes at {offset:#x} read as zero"),
            Self::Write(offset, width, value) => {
                write!(f, "{width} bytes at {offset:#x} ignore {value:#x}")
            }
            Self::Cr0(bits) => write!(f, "CR0 {:#x} stays off", bits.bits()),
            Self::Command([low, high]) => write!(f, "command {low:#018x} {high:#018x} is refused"),
            Self::Entry(stream, dword) => write!(f, "stream {:#x}: entry {dword:#x} is refused", stream.0),
        }
    }
}
