//! Translation tables with the 4 KiB granule: VMSAv8-64 (Arm ARM, D8) and the SMMU's, which have the same format.
//!
//! [`tree::Tree`] is one tree of tables, whatever it is for: the host's stage 2, the SMMU's identity table, EL2's
//! own stage 1. They differ in [`geometry::Geometry`], in the attributes of their leaves ([`attrs::Attrs`]) and in how
//! a change is made known to those who cache translations ([`invalidate::Invalidate`]).

pub mod attrs;
pub mod desc;
pub mod geometry;
pub mod invalidate;
pub mod tree;

pub use attrs::Attrs;
pub use desc::Descriptor;
pub use geometry::Geometry;
pub use invalidate::Invalidate;
pub use tree::{Content, Env, SplitRule, Tree};

/// The level of a table or entry, 0 to 3 (Arm ARM, D8.2.7).
pub type Level = u8;

/// The level whose leaves are pages.
pub const LAST_LEVEL: Level = 3;

/// Entries in one table.
pub const ENTRIES: u64 = 512;

/// log2 of the bytes that one entry of `level` translates.
#[must_use]
pub const fn shift(level: Level) -> u32 {
    39 - 9 * level as u32
}

/// The bytes that one entry of `level` translates: 512 GiB, 1 GiB, 2 MiB, 4 KiB.
#[must_use]
pub const fn span(level: Level) -> u64 {
    1 << shift(level)
}

/// Whether `free` pages are enough for the tables that any `size` bytes ever need in two trees: at each level one at either end and
/// whole ones between. Then nobody need count.
#[must_use]
pub const fn is_ample(free: u64, size: u64) -> bool {
    free / 2 >= size / span(0) + size / span(1) + size / span(2) + 6
}
