//! The memory that an SMMU needs: how much of it, and where it was found.

use super::{cmdq, error::SmmuError, evtq, probe::Features, strtab::Shape};
use crate::addr::{PAGE_SIZE, PhysAddr};

/// log2 of the command queue's entries: one page.
const CMDQ_LOG2: u32 = 8;
/// log2 of the event queue's entries: enough for a transfer of 4 KiB whose every word is refused.
const EVTQ_LOG2: u32 = 11;

/// Physically contiguous memory that the SMMU needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// How many pages of 4 KiB.
    pub pages: u64,
    /// What its first byte must be aligned to, in bytes: a power of two, at least 4 KiB.
    pub align: u64,
}

/// The memory that an SMMU with these features needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub(super) shape: Shape,
    pub(super) cmdq_log2: u32,
    pub(super) evtq_log2: u32,
}

impl Layout {
    /// For the streams 0 to 2^`sid_bits` - 1.
    ///
    /// # Errors
    /// The SMMU has fewer StreamID bits.
    pub fn new(features: &Features, sid_bits: u32) -> Result<Self, SmmuError> {
        Ok(Self {
            shape: Shape::new(features, sid_bits)?,
            cmdq_log2: features.cmdq_log2.min(CMDQ_LOG2),
            evtq_log2: features.evtq_log2.min(EVTQ_LOG2),
        })
    }

    /// The stream table's memory.
    #[must_use]
    pub fn strtab(&self) -> Buffer {
        self.shape.buffer()
    }
    /// The command queue's memory.
    #[must_use]
    pub const fn cmdq(&self) -> Buffer {
        queue_buffer(cmdq::ENTRY_SIZE, self.cmdq_log2)
    }
    /// The event queue's memory.
    #[must_use]
    pub const fn evtq(&self) -> Buffer {
        queue_buffer(evtq::ENTRY_SIZE, self.evtq_log2)
    }
}

/// A queue is aligned to its own size.
const fn queue_buffer(entry: u64, log2: u32) -> Buffer {
    let bytes = if entry << log2 > PAGE_SIZE { entry << log2 } else { PAGE_SIZE };
    Buffer { pages: bytes / PAGE_SIZE, align: bytes }
}

/// Where the memory that [`Layout`] asks for was found. The hypervisor owns it from now on.
#[derive(Clone, Copy, Debug)]
pub struct Buffers {
    /// The stream table.
    pub strtab: PhysAddr,
    /// The command queue.
    pub cmdq: PhysAddr,
    /// The event queue.
    pub evtq: PhysAddr,
}
