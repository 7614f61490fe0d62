//! What a walk hands to its visitor: tables, runs of entries, findings.

use parallax_addr::{InputAddr, PhysAddr};

use crate::annotation::Annotation;
use crate::attrs::Shareability;
use crate::desc::{self, Form, Level};
use crate::mem::MemError;
use crate::stage1::{Stage1Attrs, TableAttrs};
use crate::stage2::Stage2Attrs;
use crate::table::What;

/// Adjacent entries of one table that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// First input address.
    pub ia: InputAddr,
    /// Level of the entries.
    pub level: Level,
    /// Number of entries, at least 1.
    pub count: u16,
    /// The first entry. In a run of leaves each next one is higher by [`Level::entry_size`]; else all are equal.
    pub desc: u64,
    /// Physical address of the table that holds them.
    pub table: PhysAddr,
    /// Index of the first entry in that table.
    pub index: u16,
    /// Controls of the tables above (stage 1).
    pub tables: TableAttrs,
    /// How its descriptors are read.
    pub form: Form,
}

impl Run {
    /// Bytes of input addresses that the run covers.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.count as u64 * self.level.entry_size()
    }

    /// First input address above the run.
    #[must_use]
    pub const fn end(&self) -> InputAddr {
        self.ia.wrapping_add(self.size())
    }

    /// Output address of the first entry of a run of leaves; the run's output is contiguous.
    #[must_use]
    pub const fn oa(&self) -> PhysAddr {
        desc::leaf_address(self.desc, self.level, self.form)
    }

    /// Physical address of the first entry itself.
    #[must_use]
    pub const fn entry_pa(&self) -> PhysAddr {
        self.table.wrapping_add(8 * self.index as u64)
    }

    /// SH of a run of leaves.
    #[must_use]
    pub const fn sh(&self) -> u8 {
        self.form.shareability(self.desc)
    }

    /// The stage-2 fields of a run of leaves.
    #[must_use]
    pub fn stage2(&self, fwb: bool) -> Stage2Attrs {
        let attrs = Stage2Attrs::decode(self.desc, self.level < Level::LAST, fwb);
        Stage2Attrs { sh: Shareability::from_bits(self.sh()), ..attrs }
    }

    /// The stage-1 fields of a run of leaves.
    #[must_use]
    pub fn stage1(&self) -> Stage1Attrs {
        let attrs = Stage1Attrs::decode(self.desc, self.level < Level::LAST);
        Stage1Attrs { sh: Shareability::from_bits(self.sh()), ..attrs }
    }

    /// What a walk comes across in a run of entries that are `what`. For
    /// tables it is nothing: they are followed.
    pub(crate) fn visits(self, what: What) -> impl Iterator<Item = Visit> {
        let malformed = |why| Visit::Malformed(self, why);
        let (wrong, right) = match what {
            What::Invalid => (None, Some(Visit::Invalid(self))),
            What::Leaf => (None, Some(Visit::Leaf(self))),
            What::LeafRes0 => {
                let bits = self.desc & desc::leaf_res0(self.level, self.form);
                (Some(malformed(Malformed::Res0 { bits })), Some(Visit::Leaf(self)))
            }
            What::Reserved => (Some(malformed(Malformed::Reserved)), None),
            What::AddressSize => {
                (Some(malformed(Malformed::AddressSize { oa_bits: self.form.oa_bits })), None)
            }
            What::Table | What::TableRes0 => (None, None),
        };
        wrong.into_iter().chain(right)
    }

    /// The annotation of a run of invalid stage-2 entries.
    #[must_use]
    pub const fn annotation(&self) -> Option<Annotation> {
        Annotation::decode(self.desc)
    }
}

/// What is wrong with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Its encoding is reserved at this level; accesses fault.
    #[error("reserved encoding")]
    Reserved,
    /// Its address is above the output address size; accesses fault.
    #[error("address above the output size of {oa_bits} bits")]
    AddressSize {
        /// Output address size in bits.
        oa_bits: u32,
    },
    /// Bits that must be 0 are set, e.g. a block's address is not aligned to its size. Accesses go through: the
    /// entry is visited as a leaf or a table as well.
    #[error("bits {bits:#x} must be 0")]
    Res0 {
        /// The bits.
        bits: u64,
    },
    /// Its table cannot be read.
    #[error("next table: {0}")]
    Unreadable(MemError),
    /// Its table is one of those that lead to it; it is not followed.
    #[error("table {0:#014x} is its own ancestor")]
    Cycle(PhysAddr),
    /// Its table was already reached through another entry; it is not followed again.
    #[error("table {0:#014x} is reached twice")]
    Reused(PhysAddr),
}

/// What a walk comes across.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// A table, before its entries.
    Table {
        /// Its physical address.
        pa: PhysAddr,
        /// Its level.
        level: Level,
        /// First input address that it covers.
        ia: InputAddr,
        /// Number of its entries (fewer than 512 only at the root).
        entries: u16,
        /// Its bytes differ from those of the cache's last walk, or it was not part of that.
        changed: bool,
    },
    /// Entries that map memory.
    Leaf(Run),
    /// Entries that are invalid and not zero: annotated, in stage 2.
    Invalid(Run),
    /// Entries that are wrong, and why. For an unreadable root the run stands for the whole root table, with a
    /// descriptor of 0.
    Malformed(Run, Malformed),
}
