//! A queue's geometry (IHI 0070, 3.5.1): a ring of 2^n entries whose indices carry one more bit, the wrap bit, so
//! that full and empty differ.

use super::error::SmmuError;
use crate::addr::{PAGE_SIZE, PhysAddr};

/// Where a queue lies and how large it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring {
    base: PhysAddr,
    log2: u32,
    entry: u64,
}

impl Ring {
    /// A ring of 2^`log2` entries of `entry` bytes at `base`, which must be aligned to the ring's size.
    pub(in crate::smmu) fn new(
        what: &'static str,
        base: PhysAddr,
        log2: u32,
        entry: u64,
    ) -> Result<Self, SmmuError> {
        let align = (entry << log2).max(PAGE_SIZE);
        if !base.is_aligned(align) {
            return Err(SmmuError::Misaligned { what, pa: base, align });
        }
        Ok(Self { base, log2, entry })
    }

    /// As [`Ring::new`] for a ring of any size; the caller has aligned `base` to it.
    pub(crate) const fn aligned(base: PhysAddr, log2: u32, entry: u64) -> Self {
        Self { base, log2, entry }
    }

    /// The value of its BASE register, without the allocation hint.
    pub(crate) fn base_register(&self) -> u64 {
        self.base.0 | u64::from(self.log2)
    }

    /// Where entry `index` lies.
    pub(crate) fn slot(&self, index: u32) -> PhysAddr {
        self.base.add(u64::from(index & ((1 << self.log2) - 1)) * self.entry)
    }

    /// The index after `index`.
    pub(in crate::smmu) fn next(&self, index: u32) -> u32 {
        self.wrap(index + 1)
    }

    /// `index` with only the bits that count.
    pub(in crate::smmu) fn wrap(&self, index: u32) -> u32 {
        index & ((2 << self.log2) - 1)
    }

    /// Whether a queue with these indices has no room.
    pub(in crate::smmu) fn is_full(&self, prod: u32, cons: u32) -> bool {
        self.wrap(prod.wrapping_sub(cons)) == 1 << self.log2
    }
}
