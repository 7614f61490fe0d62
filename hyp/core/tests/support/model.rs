//! Who owns each page, as a map from page to owner, and what each operation must answer.

use hyp_core::addr::PhysAddr;
use hyp_core::error::Error;
use hyp_core::regions::Range;
use std::collections::{BTreeMap, BTreeSet};

/// The memory goes across the border of 4 GiB, half of it below: an SMMU may have 32 bits of addresses.
pub(crate) const RAM: u64 = 0xff80_0000;
pub(crate) const RAM_SIZE: u64 = 0x100_0000;
pub(crate) const IMAGE: Range = Range { base: PhysAddr(RAM + 0x20_0000), size: 0x1_0000 };
pub(crate) const NOMAP: Range = Range { base: PhysAddr(RAM + 0xc0_0000), size: 0x1_0000 };

#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Share(u64),
    Unshare(u64),
    Pin(u64, u64),
    Unpin(u64, u64),
    Donate(u64, u64),
    Return(u64, u64),
    ReturnMmio(u64),
    Touch(u64),
    Dma(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Host,
    Shared(u64),
    Hyp,
    /// The hypervisor's for good: image, pool.
    Kept,
}

pub(crate) struct Model {
    owners: BTreeMap<u64, Owner>,
    pool: Range,
    /// MMIO pages that the hypervisor has and may return.
    pub(crate) mmio: BTreeSet<u64>,
}

fn holds(range: Range, pfn: u64) -> bool {
    (range.base.0 >> 12..range.end() >> 12).contains(&pfn)
}

impl Model {
    pub(crate) fn new(pool: Range) -> Self {
        Self { owners: BTreeMap::new(), pool, mmio: BTreeSet::new() }
    }

    pub(crate) fn is_ram(&self, pfn: u64) -> bool {
        holds(Range { base: PhysAddr(RAM), size: RAM_SIZE }, pfn)
    }

    pub(crate) fn pool_holds(&self, pfn: u64) -> bool {
        holds(self.pool, pfn)
    }

    pub(crate) fn owner(&self, pfn: u64) -> Owner {
        let kept = [IMAGE, self.pool].into_iter().any(|range| holds(range, pfn));
        if kept { Owner::Kept } else { *self.owners.get(&pfn).unwrap_or(&Owner::Host) }
    }

    /// Whether the host's CPUs and devices may reach a page.
    pub(crate) fn host_reaches(&self, pfn: u64) -> bool {
        let frame = holds(super::FRAME, pfn);
        let hyps = matches!(self.owner(pfn), Owner::Hyp | Owner::Kept);
        !(self.is_ram(pfn) && hyps || frame || self.mmio.contains(&(pfn << 12)))
    }

    fn memory(&self, pfn: u64, nr: u64) -> Result<Vec<u64>, Error> {
        let last =
            pfn.checked_add(nr).ok_or(Error::Inval)?.checked_sub(1).filter(|_| nr != 0 && nr <= 1 << 40);
        let last = last.ok_or(Error::Inval)?;
        let region = |pfn| (self.is_ram(pfn) && !holds(NOMAP, pfn), pfn >= NOMAP.base.0 >> 12);
        let ends = [RAM, NOMAP.base.0, NOMAP.end(), RAM + RAM_SIZE];
        if region(pfn) != region(last) || ends.iter().any(|end| pfn < end >> 12 && last >= end >> 12) {
            return Err(Error::Inval);
        }
        if !region(pfn).0 {
            return Err(Error::Perm);
        }
        Ok((pfn..=last).collect())
    }

    /// Moves all pages from owners that `from` accepts to what it makes of them, or none.
    fn change(
        &mut self,
        pages: Result<Vec<u64>, Error>,
        from: impl Fn(Owner) -> Result<Owner, Error>,
    ) -> Result<(), Error> {
        let pages = pages?;
        let new = pages.iter().map(|pfn| from(self.owner(*pfn))).collect::<Result<Vec<_>, _>>()?;
        self.owners.extend(pages.into_iter().zip(new));
        Ok(())
    }

    pub(crate) fn perform(&mut self, op: Op, smmu_bits: Option<u32>) -> Result<(), Error> {
        use Owner::{Host, Hyp, Kept, Shared};
        let one = |pfn| self.memory(pfn, 1).map_err(|_| Error::Perm);
        match op {
            Op::Share(pfn) => self.change(one(pfn), |owner| match owner {
                Host => Ok(Shared(0)),
                _ => Err(Error::Perm),
            }),
            Op::Unshare(pfn) => self.change(one(pfn), |owner| match owner {
                Shared(0) => Ok(Host),
                Shared(_) => Err(Error::Busy),
                _ => Err(Error::Perm),
            }),
            Op::Pin(pfn, nr) => self.change(self.memory(pfn, nr), |owner| match owner {
                Shared(pins) => Ok(Shared(pins + 1)),
                _ => Err(Error::Perm),
            }),
            Op::Unpin(pfn, nr) => self.change(self.memory(pfn, nr), |owner| match owner {
                Shared(pins) if pins > 0 => Ok(Shared(pins - 1)),
                _ => Err(Error::Perm),
            }),
            Op::Donate(pfn, nr) => self.change(self.memory(pfn, nr), |owner| match owner {
                Host => Ok(Hyp),
                _ => Err(Error::Perm),
            }),
            Op::Return(pfn, nr) => self.change(self.memory(pfn, nr), |owner| match owner {
                Hyp => Ok(Host),
                Kept => Err(Error::Busy),
                _ => Err(Error::Perm),
            }),
            Op::ReturnMmio(pfn) if smmu_bits.is_some() && holds(super::FRAME, pfn) => Err(Error::Busy),
            Op::ReturnMmio(pfn) => {
                Err(if self.mmio.contains(&(pfn << 12)) { Error::Perm } else { Error::Inval })
            }
            Op::Dma(_) if smmu_bits.is_none() => Ok(()),
            Op::Dma(pfn) if pfn << 12 >> smmu_bits.unwrap_or(0) != 0 => Err(Error::Perm),
            Op::Touch(pfn) | Op::Dma(pfn) => self.host_reaches(pfn).then_some(()).ok_or(Error::Perm),
        }
    }
}
