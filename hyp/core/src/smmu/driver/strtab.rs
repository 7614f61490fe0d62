//! The stream table (IHI 0070, 3.3): linear, or two-level with 256 streams to a level-2 table.
//!
//! All entries lie side by side, whatever the format, so a StreamID's entry is found the same way; with two levels,
//! the level-1 descriptors follow them.

use super::{
    error::SmmuError,
    layout::Buffer,
    probe::Features,
    regs::{BASE_ALLOCATE, STRTAB_BASE, STRTAB_BASE_CFG, STRTAB_FMT_2LVL, STRTAB_SPLIT_SHIFT},
    ste::{STE_SIZE, Ste},
};
use crate::{
    addr::{PAGE_SIZE, PhysAddr},
    hw::{Memory, Mmio},
    smmu::StreamId,
};

/// STRTAB_BASE_CFG.SPLIT: StreamID bits that index a level-2 table.
const SPLIT: u32 = 8;
/// Bytes of a level-1 descriptor.
const L1_SIZE: u64 = 8;

/// A stream table's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    sid_bits: u32,
    two_level: bool,
}

impl Shape {
    /// A table for the streams 0 to 2^`sid_bits` - 1.
    pub(super) fn new(features: &Features, sid_bits: u32) -> Result<Self, SmmuError> {
        if sid_bits > features.sid_bits {
            return Err(SmmuError::Bits { what: "StreamID", asked: sid_bits, max: features.sid_bits });
        }
        Ok(Self { sid_bits, two_level: features.two_level })
    }

    fn ste_bytes(self) -> u64 {
        STE_SIZE << self.sid_bits
    }

    fn l2_bits(self) -> u32 {
        self.sid_bits.min(SPLIT)
    }

    fn l1_bytes(self) -> u64 {
        if self.two_level { L1_SIZE << (self.sid_bits - self.l2_bits()) } else { 0 }
    }

    /// The memory that it needs. Linear tables and level-2 tables are aligned to their own size.
    pub(super) fn buffer(self) -> Buffer {
        let unit = if self.two_level { (STE_SIZE << SPLIT).max(self.l1_bytes()) } else { self.ste_bytes() };
        let pages = self.ste_bytes().div_ceil(PAGE_SIZE) + self.l1_bytes().div_ceil(PAGE_SIZE);
        Buffer { pages, align: unit.max(PAGE_SIZE) }
    }
}

/// A stream table in memory.
#[derive(Debug)]
pub(in crate::smmu) struct StreamTable {
    shape: Shape,
    base: PhysAddr,
}

impl StreamTable {
    /// A table at `base` whose every entry is `ste`, made known to hardware while CR0.SMMUEN = 0.
    pub(super) fn new(
        regs: &impl Mmio,
        mem: &impl Memory,
        shape: Shape,
        base: PhysAddr,
        ste: &Ste,
    ) -> Result<Self, SmmuError> {
        let Buffer { pages, align } = shape.buffer();
        if !base.is_aligned(align) {
            return Err(SmmuError::Misaligned { what: "the stream table", pa: base, align });
        }
        for page in 0..pages {
            mem.zero_page(base.add(page * PAGE_SIZE));
        }
        let table = Self { shape, base };
        for offset in (0..shape.ste_bytes()).step_by(STE_SIZE as usize) {
            ste.write_body(mem, base.add(offset));
            ste.write_head(mem, base.add(offset));
        }
        let (root, format) = if shape.two_level {
            (table.write_level1(mem), STRTAB_FMT_2LVL | SPLIT << STRTAB_SPLIT_SHIFT)
        } else {
            (base, 0)
        };
        regs.write64(STRTAB_BASE, crate::faulty::strtab_base(root.0) | BASE_ALLOCATE);
        regs.write32(STRTAB_BASE_CFG, format | shape.sid_bits);
        Ok(table)
    }

    /// Writes the level-1 descriptors (5.1) and says where they are.
    fn write_level1(&self, mem: &impl Memory) -> PhysAddr {
        let level1 = self.base.add(self.shape.ste_bytes().next_multiple_of(PAGE_SIZE));
        let span = u64::from(self.shape.l2_bits() + 1);
        for index in 0..self.shape.l1_bytes() / L1_SIZE {
            let level2 = self.base.add(index * (STE_SIZE << SPLIT));
            mem.write_release(level1.add(index * L1_SIZE), level2.0 | span);
        }
        level1
    }

    /// StreamIDs 0 to 2^n - 1 have an entry.
    pub(in crate::smmu) const fn sid_bits(&self) -> u32 {
        self.shape.sid_bits
    }

    /// Where the entry of `stream` lies; `None` outside of the table.
    pub(in crate::smmu) fn ste(&self, stream: StreamId) -> Option<PhysAddr> {
        let offset = u64::from(stream.0) * STE_SIZE;
        (offset < self.shape.ste_bytes()).then(|| self.base.add(offset))
    }
}
