//! Descriptors (Arm ARM, D8.3): table, block, page and invalid ones, annotations included.

use super::{Attrs, LAST_LEVEL, Level, span};
use crate::addr::PhysAddr;

/// Bits 47:12: the next table, or the output address of a leaf.
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
/// Bit 0: the descriptor is valid.
const VALID: u64 = 1 << 0;
/// Bit 1: table at levels 0 to 2, page at level 3; a valid descriptor without it is a block.
const TABLE_OR_PAGE: u64 = 1 << 1;

/// One entry of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Descriptor(pub u64);

impl Descriptor {
    /// Invalid and without an annotation: nothing is mapped, nobody has taken it.
    pub const ZERO: Self = Self(0);
    /// Invalid: the hypervisor owns what would be mapped here (type DONATION 2 in 63:60, owner HYP 1 in 3:1).
    pub const OWNED_BY_HYP: Self = Self(2 << 60 | parallax_abi::page::OWNER_HYP << 1);
    /// Invalid: the entry is being changed (type LOCKED 1 in 63:60).
    pub const LOCKED: Self = Self(1 << 60);

    /// A table descriptor.
    #[must_use]
    pub const fn table(table: PhysAddr) -> Self {
        Self(table.0 & ADDRESS | TABLE_OR_PAGE | VALID)
    }

    /// A block (levels 1 and 2) or page (level 3) descriptor.
    #[must_use]
    pub const fn leaf(level: Level, output: u64, attrs: Attrs) -> Self {
        let page = if level == LAST_LEVEL { TABLE_OR_PAGE } else { 0 };
        Self(output & ADDRESS | attrs.0 | page | VALID)
    }

    /// Bit 0: hardware uses this entry.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.0 & VALID != 0
    }

    /// Whether it points to a table, as an entry of `level`.
    #[must_use]
    pub const fn is_table(self, level: Level) -> bool {
        level < LAST_LEVEL && self.0 & (TABLE_OR_PAGE | VALID) == TABLE_OR_PAGE | VALID
    }

    /// Invalid, but not free: somebody owns it or works on it.
    #[must_use]
    pub const fn is_annotated(self) -> bool {
        !self.is_valid() && self.0 != 0
    }

    /// The table it points to.
    #[must_use]
    pub const fn next_table(self) -> PhysAddr {
        PhysAddr(self.0 & ADDRESS)
    }

    /// A leaf's bits apart from type and output address.
    #[must_use]
    pub const fn attrs(self) -> Attrs {
        Attrs(self.0 & !(ADDRESS | TABLE_OR_PAGE | VALID))
    }

    /// What entry `index` of the next level must be, so that a table of them means what this entry (no table, of
    /// `level` 0 to 2) means.
    #[must_use]
    pub const fn child(self, level: Level, index: u64) -> Self {
        if self.is_valid() {
            Self::leaf(level + 1, (self.0 & ADDRESS) + index * span(level + 1), self.attrs())
        } else {
            self
        }
    }
}
