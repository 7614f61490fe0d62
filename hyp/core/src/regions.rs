//! What every physical address is: memory, memory that the device tree gives a purpose, MMIO, or MMIO that the hypervisor
//! keeps.
//!
//! [`Regions`] covers the whole intermediate physical address space without gaps: what the device tree does not call
//! memory is MMIO. A region is the largest piece that one mapping may cover.

use crate::addr::{PAGE_SIZE, PhysAddr};

/// How many regions fit. Each memory or no-map range of the device tree makes at most two.
pub const MAX_REGIONS: usize = 128;

/// What a region holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Memory that the host and the hypervisor may own.
    Memory,
    /// Memory with the device tree's `no-map` property: the host's, who knows what it is for. Never the hypervisor's.
    NoMap,
    /// Everything else.
    Mmio,
    /// MMIO that the hypervisor keeps for good: who programs it reaches memory past both stage 2 and the SMMU.
    Kept,
}

impl Kind {
    /// Whether it is mapped as memory.
    #[must_use]
    pub const fn is_memory(self) -> bool {
        matches!(self, Self::Memory | Self::NoMap)
    }
}

/// A range of physical addresses, page aligned, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub base: PhysAddr,
    /// Bytes.
    pub size: u64,
}

impl Range {
    /// The first byte after it.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.base.0.wrapping_add(self.size)
    }

    /// Whether the two have a byte in common.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.base.0 < other.end() && other.base.0 < self.end()
    }

    /// Whether `other` lies wholly inside.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.base.0 <= other.base.0 && other.end() <= self.end()
    }
}

/// The pages that have the `size` bytes (not 0) at `base`.
#[must_use]
pub const fn pages_of(base: u64, size: u64) -> Range {
    let first = PhysAddr(base).align_down(PAGE_SIZE);
    Range { base: first, size: (base - first.0 + size).next_multiple_of(PAGE_SIZE) }
}

/// A maximal range of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Where it is.
    pub range: Range,
    /// What it is.
    pub kind: Kind,
}

/// There are more regions than fit, [`MAX_REGIONS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the device tree describes more than {MAX_REGIONS} memory regions")]
pub struct TooManyRegions;

/// The address space from 0 to its limit, as sorted regions without gaps.
#[derive(Clone, Debug)]
pub struct Regions {
    list: [Region; MAX_REGIONS],
    len: usize,
}

impl Regions {
    /// An address space of `2^bits` bytes (`bits` from 32 to 52) that is MMIO throughout.
    #[must_use]
    pub fn new(bits: u32) -> Self {
        let all = Region { range: Range { base: PhysAddr(0), size: 1 << bits }, kind: Kind::Mmio };
        Self { list: [all; MAX_REGIONS], len: 1 }
    }

    /// Declares `range` to be of `kind`, whatever it was before. What lies beyond the limit is ignored.
    ///
    /// # Errors
    /// [`TooManyRegions`]; nothing is changed then.
    pub fn set(&mut self, range: Range, kind: Kind) -> Result<(), TooManyRegions> {
        let mut new = Self { list: self.list, len: 0 };
        let end = range.base.0.saturating_add(range.size);
        for region in self.iter() {
            let (from, to) = (region.range.base.0, region.range.end());
            let (low, high) = (range.base.0.clamp(from, to), end.clamp(from, to));
            new.push(from, low, region.kind)?;
            new.push(low, high.max(low), kind)?;
            new.push(high.max(low), to, region.kind)?;
        }
        *self = new;
        Ok(())
    }

    /// Forgets what lies at `2^bits` and beyond.
    pub fn truncate(&mut self, bits: u32) {
        let limit = 1 << bits;
        self.len = self.iter().take_while(|region| region.range.base.0 < limit).count();
        if let Some(last) = self.list[..self.len].last_mut() {
            last.range.size = last.range.size.min(limit - last.range.base.0);
        }
    }

    fn push(&mut self, from: u64, to: u64, kind: Kind) -> Result<(), TooManyRegions> {
        if from == to {
            return Ok(());
        }
        if let Some(last) = self.list[..self.len].last_mut()
            && last.kind == kind
        {
            last.range.size += to - from;
            return Ok(());
        }
        let slot = self.list.get_mut(self.len).ok_or(TooManyRegions)?;
        *slot = Region { range: Range { base: PhysAddr(from), size: to - from }, kind };
        self.len += 1;
        Ok(())
    }

    /// All regions in the order of their addresses.
    pub fn iter(&self) -> impl Iterator<Item = &Region> {
        self.list[..self.len].iter()
    }

    /// The region that holds `pa`; `None` beyond the limit.
    #[must_use]
    pub fn find(&self, pa: PhysAddr) -> Option<Region> {
        let list = &self.list[..self.len];
        list.get(list.partition_point(|region| region.range.end() <= pa.0)).copied()
    }

    /// The regions of memory.
    pub fn memory(&self) -> impl Iterator<Item = Range> {
        self.iter().filter(|region| region.kind == Kind::Memory).map(|region| region.range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(base: u64, end: u64) -> Range {
        Range { base: PhysAddr(base), size: end - base }
    }

    #[test]
    fn gaps_between_memory_are_mmio_up_to_the_limit() {
        let mut regions = Regions::new(40);
        regions.set(range(0x8000_0000, 0x9000_0000), Kind::Memory).unwrap();
        regions.set(range(0x4000_0000, 0x5000_0000), Kind::Memory).unwrap();
        let kinds: Vec<_> = regions.iter().map(|r| (r.range.base.0, r.range.end(), r.kind)).collect();
        assert_eq!(
            kinds,
            [
                (0, 0x4000_0000, Kind::Mmio),
                (0x4000_0000, 0x5000_0000, Kind::Memory),
                (0x5000_0000, 0x8000_0000, Kind::Mmio),
                (0x8000_0000, 0x9000_0000, Kind::Memory),
                (0x9000_0000, 1 << 40, Kind::Mmio),
            ]
        );
        assert_eq!(regions.find(PhysAddr(0x4fff_ffff)).unwrap().kind, Kind::Memory);
        assert_eq!(regions.find(PhysAddr(0x5000_0000)).unwrap().kind, Kind::Mmio);
        assert_eq!(regions.find(PhysAddr(1 << 40)), None);
        regions.truncate(32);
        assert_eq!(regions.iter().last().unwrap().range.end(), 1 << 32);
    }

    #[test]
    fn adjacent_memory_is_one_region_and_no_map_cuts_it() {
        let mut regions = Regions::new(36);
        regions.set(range(0x4000_0000, 0x4800_0000), Kind::Memory).unwrap();
        regions.set(range(0x4800_0000, 0x5000_0000), Kind::Memory).unwrap();
        regions.set(range(0x4700_0000, 0x4900_0000), Kind::NoMap).unwrap();
        assert_eq!(
            regions.memory().collect::<Vec<_>>(),
            [range(0x4000_0000, 0x4700_0000), range(0x4900_0000, 0x5000_0000)]
        );
    }

    #[test]
    fn more_regions_than_fit_are_refused() {
        let mut regions = Regions::new(36);
        let mut set = |n: u64| regions.set(range(n * 0x2000, n * 0x2000 + 0x1000), Kind::Memory);
        assert!((0..63).all(|n| set(n + 1).is_ok()));
        assert_eq!(set(64), Err(TooManyRegions));
    }
}
