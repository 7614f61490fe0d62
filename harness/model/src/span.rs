//! A range of addresses: half open, in bytes, in whatever address space its owner says.

use serde::{Deserialize, Serialize};

/// `base..base + size`. An empty span contains nothing and overlaps nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// First address.
    pub base: u64,
    /// Length in bytes.
    pub size: u64,
}

impl Span {
    /// The span of `size` bytes at `base`.
    #[must_use]
    pub const fn new(base: u64, size: u64) -> Self {
        Self { base, size }
    }

    /// The span `base..end`; empty when `end` is not above `base`.
    #[must_use]
    pub const fn between(base: u64, end: u64) -> Self {
        Self { base, size: end.saturating_sub(base) }
    }

    /// The first address behind it (saturating: no address space of 64 bits is full).
    #[must_use]
    pub const fn end(self) -> u64 {
        self.base.saturating_add(self.size)
    }

    /// Whether it holds no address.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.size == 0
    }

    /// Whether `address` lies inside.
    #[must_use]
    pub const fn contains(self, address: u64) -> bool {
        address >= self.base && address - self.base < self.size
    }

    /// The part that both have, if any.
    #[must_use]
    pub fn intersect(self, other: Self) -> Option<Self> {
        let part = Self::between(self.base.max(other.base), self.end().min(other.end()));
        (!part.is_empty()).then_some(part)
    }
}
