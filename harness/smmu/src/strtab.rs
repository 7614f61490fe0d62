//! Stream tables (IHI 0070, 3.3 and 5.1): one stream, or all of them.
//!
//! [`StreamTable::scan`] gives runs of streams with identical entries, and the memory that the table occupies.
//! Table memory is read a table at a time, so 65,536 streams cost a few megabytes of reading at most.

use parallax_addr::PhysAddr;
use parallax_vmsa::mem::{MemError, PhysMem, read_u64};

use crate::fields::bits;
use crate::regs::SmmuRegs;
use crate::ste::Ste;

/// A stream table: where it is and how large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamTable {
    /// Physical address, aligned as the SMMU does it.
    pub base: PhysAddr,
    /// Bits of STRTAB_BASE.ADDR below the alignment, which the SMMU takes for zero (6.3.24).
    pub below: u64,
    /// Linear or two-level.
    pub layout: Layout,
    /// Effective LOG2SIZE: streams are 0 to 2^this − 1. At most IDR1.SIDSIZE, at most 32.
    pub log2size: u32,
    /// Bytes that the registers say the (first-level) table has.
    pub size: u64,
}

/// How a stream table is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One array of entries.
    Linear,
    /// Descriptors that point to arrays of entries.
    TwoLevel {
        /// Bits of a StreamID that index the second level: 6, 8 or 10.
        split: u32,
    },
}

/// Why a stream has no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamFault {
    /// The StreamID is not below 2^LOG2SIZE: C_BAD_STREAMID.
    #[error("StreamID is out of the table's range")]
    OutOfRange,
    /// Its level-1 descriptor has Span 0: C_BAD_STREAMID.
    #[error("level-1 descriptor is invalid")]
    NoLevel2,
    /// Its level-1 descriptor has a reserved Span, or one larger than the split allows: C_BAD_STREAMID.
    #[error("level-1 descriptor has a bad Span of {0}")]
    BadSpan(u8),
    /// It is beyond the entries that its level-1 descriptor spans: C_BAD_STREAMID.
    #[error("StreamID is beyond the level-2 table")]
    BeyondSpan,
    /// A table cannot be read: F_STE_FETCH.
    #[error("stream table: {0}")]
    Fetch(MemError),
}

/// Adjacent streams with identical entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamRun {
    /// First StreamID.
    pub first: u32,
    /// Number of streams, at least 1.
    pub count: u64,
    /// Their entry (with V = 0 too), or why they have none.
    pub entry: Result<Ste, StreamFault>,
}

/// A piece of memory that belongs to a stream table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableMemory {
    /// First byte.
    pub pa: PhysAddr,
    /// Size in bytes.
    pub size: u64,
    /// 1 for the table that STRTAB_BASE points to, 2 for a second-level one.
    pub level: u8,
}

/// Stream table entries that lie behind one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SteArray {
    /// Physical address of the first.
    pub pa: PhysAddr,
    /// Its StreamID.
    pub first: u64,
    /// How many there are.
    pub count: u64,
}

impl SteArray {
    /// StreamID and address of the entry that holds the byte at physical address `pa`.
    #[must_use]
    pub const fn entry_at(&self, pa: PhysAddr) -> Option<(u64, PhysAddr)> {
        match pa.offset_from(self.pa) {
            Some(offset) if offset / Ste::SIZE < self.count => {
                let index = offset / Ste::SIZE;
                Some((self.first + index, self.pa.wrapping_add(index * Ste::SIZE)))
            }
            _ => None,
        }
    }
}

/// A level-1 stream table descriptor (L1STD, 5.1) that is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Level2 {
    base: PhysAddr,
    streams: u64,
}

impl StreamTable {
    /// The table that the registers describe, whether or not the SMMU is enabled. Reserved formats count as linear
    /// and reserved splits as 6, as the SMMU takes them.
    #[must_use]
    pub fn from_regs(regs: &SmmuRegs) -> Self {
        let (cfg, two_level_offered) = (&regs.strtab_base_cfg, regs.idr0.st_level() != 0);
        let literal = u32::from(cfg.log2size());
        let log2size = literal.min(u32::from(regs.idr1.sidsize())).min(32);
        let layout = match (cfg.fmt(), cfg.split()) {
            (0b01, 8) if two_level_offered => Layout::TwoLevel { split: 8 },
            (0b01, 10) if two_level_offered => Layout::TwoLevel { split: 10 },
            (0b01, _) if two_level_offered => Layout::TwoLevel { split: 6 },
            _ => Layout::Linear,
        };
        // The alignment goes by LOG2SIZE as written; it has six bits, so the shift is bounded.
        let (size, align) = match layout {
            Layout::Linear => (Ste::SIZE << log2size, 1_u128 << (literal + 6)),
            Layout::TwoLevel { split } => {
                (8 << log2size.saturating_sub(split), (8_u128 << literal.saturating_sub(split)).max(64))
            }
        };
        let written = u128::from(regs.strtab_base.addr());
        let (base, below) = (written & !(align - 1), written & (align - 1));
        Self { base: PhysAddr::new(base as u64), below: below as u64, layout, log2size, size }
    }

    /// Number of streams: 1 to 2^32.
    #[must_use]
    pub const fn streams(&self) -> u64 {
        1 << self.log2size
    }

    /// Physical address of the entry of stream `sid`.
    ///
    /// # Errors
    /// [`StreamFault`] when the SMMU would not get as far as an entry.
    pub fn entry_address<M: PhysMem + ?Sized>(&self, mem: &M, sid: u32) -> Result<PhysAddr, StreamFault> {
        let sid = u64::from(sid);
        if sid >= self.streams() {
            return Err(StreamFault::OutOfRange);
        }
        let (table, index) = match self.layout {
            Layout::Linear => (self.base, sid),
            Layout::TwoLevel { split } => {
                let level2 = self.level2(mem, sid >> split, split)?;
                let index = sid & ((1 << split) - 1);
                if index >= level2.streams {
                    return Err(StreamFault::BeyondSpan);
                }
                (level2.base, index)
            }
        };
        Ok(table.wrapping_add(index * Ste::SIZE))
    }

    /// The entry of stream `sid`.
    ///
    /// # Errors
    /// [`StreamFault`] when the SMMU would not get as far as an entry.
    pub fn stream<M: PhysMem + ?Sized>(&self, mem: &M, sid: u32) -> Result<Ste, StreamFault> {
        let mut bytes = [0; 64];
        mem.read(self.entry_address(mem, sid)?, &mut bytes).map_err(StreamFault::Fetch)?;
        Ok(Ste::from_bytes(&bytes))
    }

    /// All streams in order, as runs without a gap, and the memory of the table.
    pub fn scan<M: PhysMem + ?Sized>(&self, mem: &M) -> (Vec<StreamRun>, Vec<TableMemory>) {
        let mut runs = Runs::default();
        let mut memory = vec![TableMemory { pa: self.base, size: self.size, level: 1 }];
        match self.layout {
            Layout::Linear => runs.array(mem, self.base, self.streams()),
            Layout::TwoLevel { split } => {
                for number in 0..self.streams().div_ceil(1 << split) {
                    let here = self.streams().min(1 << split);
                    match self.level2(mem, number, split) {
                        Err(why) => runs.push(here, Err(why)),
                        Ok(level2) => {
                            let size = level2.streams * Ste::SIZE;
                            memory.push(TableMemory { pa: level2.base, size, level: 2 });
                            let there = here.min(level2.streams);
                            runs.array(mem, level2.base, there);
                            runs.push(here - there, Err(StreamFault::BeyondSpan));
                        }
                    }
                }
            }
        }
        memory.sort_unstable();
        memory.dedup();
        (runs.done, memory)
    }

    /// Where the entries of all streams are that have one.
    pub fn arrays<M: PhysMem + ?Sized>(&self, mem: &M) -> Vec<SteArray> {
        let Layout::TwoLevel { split } = self.layout else {
            return vec![SteArray { pa: self.base, first: 0, count: self.streams() }];
        };
        let tables = 0..self.streams().div_ceil(1 << split);
        let array = |number: u64| {
            let level2 = self.level2(mem, number, split).ok()?;
            let count = self.streams().min(1 << split).min(level2.streams);
            Some(SteArray { pa: level2.base, first: number << split, count })
        };
        tables.filter_map(array).collect()
    }

    fn level2<M: PhysMem + ?Sized>(&self, mem: &M, number: u64, split: u32) -> Result<Level2, StreamFault> {
        let l1std = read_u64(mem, self.base.wrapping_add(8 * number)).map_err(StreamFault::Fetch)?;
        match bits(l1std, 4, 0) as u8 {
            0 => Err(StreamFault::NoLevel2),
            span if span > 11 || u32::from(span) > split + 1 => Err(StreamFault::BadSpan(span)),
            span => {
                let streams = 1 << (span - 1);
                let base = PhysAddr::new(bits(l1std, 55, 6) << 6).align_down(streams * Ste::SIZE);
                Ok(Level2 { base, streams })
            }
        }
    }
}

/// Runs under construction.
#[derive(Debug, Default)]
struct Runs {
    done: Vec<StreamRun>,
    next: u64,
}

impl Runs {
    /// Entries that are read at once: one page.
    const CHUNK: u64 = 64;

    fn array<M: PhysMem + ?Sized>(&mut self, mem: &M, base: PhysAddr, entries: u64) {
        let mut buffer = [0; (Self::CHUNK * Ste::SIZE) as usize];
        for first in (0..entries).step_by(Self::CHUNK as usize) {
            let count = Self::CHUNK.min(entries - first);
            let bytes = &mut buffer[..(count * Ste::SIZE) as usize];
            match mem.read(base.wrapping_add(first * Ste::SIZE), bytes) {
                Ok(()) => bytes.as_chunks().0.iter().for_each(|ste| self.push(1, Ok(Ste::from_bytes(ste)))),
                Err(why) => self.push(count, Err(StreamFault::Fetch(why))),
            }
        }
    }

    fn push(&mut self, count: u64, entry: Result<Ste, StreamFault>) {
        if count == 0 {
            return;
        }
        match self.done.last_mut() {
            Some(run) if run.entry == entry => run.count += count,
            _ => self.done.push(StreamRun { first: self.next as u32, count, entry }),
        }
        self.next += count;
    }
}
