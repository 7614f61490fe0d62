//! The host's stream table (IHI 0070, 3.3): linear, or two-level.

use super::{Env, Physical};
use crate::addr::PhysAddr;
use crate::faulty;
use crate::regions::{Range, pages_of};
use crate::smmu::StreamId;
use crate::smmu::driver::ste::STE_SIZE;
use crate::smmu::regs::{STRTAB_CFG_FMT, STRTAB_CFG_LOG2SIZE, STRTAB_CFG_SPLIT, STRTAB_FMT_2LVL};

/// Address bits of STRTAB_BASE and of a level-1 descriptor.
const ADDRESS: u64 = 0x000f_ffff_ffff_ffc0;
/// Span of a level-1 descriptor: 2^(Span - 1) entries, 0 for none.
const SPAN: u64 = 0x1f;
/// Bytes of a level-1 descriptor.
const L1_SIZE: u64 = 8;

/// The host's table. Its only level, or its first, is shared; a second-level table only while it is copied.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostTable {
    base: PhysAddr,
    log2: u32,
    /// StreamID bits that index a level-2 table; `None` for a linear table.
    split: Option<u32>,
    /// What is held.
    pub(super) range: Range,
}

impl HostTable {
    /// Shares the table that STRTAB_BASE and STRTAB_BASE_CFG describe, at most as large as the hardware's. `None` when
    /// the format is reserved or the memory is not the host's.
    pub(super) fn share<E: Env>(env: &mut E, base: u64, config: u32) -> Option<Self> {
        let log2 = STRTAB_CFG_LOG2SIZE.of(config).min(env.smmu().sid_bits());
        let split = match STRTAB_CFG_FMT.of(config) {
            0 => None,
            format if format == STRTAB_CFG_FMT.of(STRTAB_FMT_2LVL) => Some(split(config)),
            _ => return None,
        };
        let size = match split {
            None => STE_SIZE << log2,
            Some(split) => L1_SIZE << log2.saturating_sub(split),
        };
        // 6.3.24: the table is aligned to its size, and to 64 bytes; lower bits count as zero.
        let base = PhysAddr(base & ADDRESS).align_down(size.max(64));
        let range = pages_of(base.0, size);
        env.hold(range).ok()?;
        Some(Self { base, log2, split, range })
    }

    /// What each of its runs costs of [`super::BUDGET`] besides the entries: a level-2 table is shared and taken back.
    pub(super) const fn run_costs(&self) -> u64 {
        if self.split.is_some() { 16 } else { 0 }
    }

    /// Copies entries from stream `from` on, at most up to `end` and to the end of their level-2 table, and gives
    /// each copy to `each`: `None` where there is no entry. Returns the first stream that was not looked at.
    pub(super) fn copy_run<E: Env>(
        &self,
        env: &mut E,
        from: u64,
        end: u64,
        mut each: impl FnMut(&mut E::Smmu, StreamId, Option<&[u64; 8]>),
    ) -> u64 {
        let streams = 1 << self.log2;
        if from >= streams {
            let mut smmu = env.smmu();
            (from..end).for_each(|stream| each(&mut smmu, StreamId(stream as u32), None));
            return end;
        }
        let end = end.min(streams);
        let Some(split) = self.split else {
            copy(env, self.base, 0, from..end, each);
            return end;
        };
        let end = end.min(((from >> split) + 1) << split);
        let start = from >> split << split;
        let descriptor = env.read(self.base.add((from >> split) * L1_SIZE));
        let span = faulty::l1_span(descriptor & SPAN, split);
        let filled = if span == 0 || span > u64::from(split) + 1 { 0 } else { 1 << (span - 1) };
        let level2 = PhysAddr(descriptor & ADDRESS).align_down((STE_SIZE * filled).max(64));
        let range = pages_of(level2.0, STE_SIZE * filled);
        let filled = if filled != 0 && env.hold(range).is_ok() { filled } else { 0 };
        let there = end.min(start + filled).max(from);
        copy(env, level2, start, from..there, &mut each);
        if faulty::is_level2_returned(filled != 0, there > from) {
            env.release(range);
        }
        let mut smmu = env.smmu();
        (there..end).for_each(|stream| each(&mut smmu, StreamId(stream as u32), None));
        end
    }
}

/// STRTAB_BASE_CFG.SPLIT; reserved values behave as 6.
fn split(config: u32) -> u32 {
    match faulty::strtab_split(STRTAB_CFG_SPLIT.of(config)) {
        split @ (8 | 10) => split,
        _ => 6,
    }
}

/// How many entries are copied before the driver gets them: it is locked once for all of these.
const BATCH: u64 = 16;

/// Copies the entries of `streams` out of the table at `table`, whose first entry is that of stream `first`.
fn copy<E: Env>(
    env: &E,
    table: PhysAddr,
    first: u64,
    streams: core::ops::Range<u64>,
    mut each: impl FnMut(&mut E::Smmu, StreamId, Option<&[u64; 8]>),
) {
    let mut copies = [[0; 8]; BATCH as usize];
    for start in streams.clone().step_by(BATCH as usize) {
        let batch = start..streams.end.min(start + BATCH);
        for (stream, copy) in batch.clone().zip(&mut copies) {
            let entry = table.add((stream - first) * STE_SIZE);
            *copy = [0, 8, 16, 24, 32, 40, 48, 56].map(|offset| env.read(entry.add(offset)));
        }
        let mut smmu = env.smmu();
        for (stream, copy) in batch.zip(&copies) {
            each(&mut smmu, StreamId(stream as u32), Some(copy));
        }
    }
}
