//! One translation table as runs of like entries.
//!
//! A run is what a walk hands out: neighbours that map on contiguously with the same attributes, or that are the
//! same annotation. A table of 512 pages in a row becomes one item, so a walk costs little beyond reading.

use crate::desc::{self, Form, Kind, Level};

/// What the entries of a run are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Invalid and not zero.
    Invalid,
    /// Map memory. Each entry's output address follows on the one before.
    Leaf,
    /// As `Leaf`, but bits are set that must be 0, such as a block's address below its size.
    LeafRes0,
    /// Points to a table; always alone.
    Table,
    /// As `Table`, but bits are set that must be 0.
    TableRes0,
    /// Reserved encoding: faults.
    Reserved,
    /// Points above the output address size: faults.
    AddressSize,
}

/// A run of entries of one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Index of the first entry.
    pub first: u16,
    /// Number of entries, at least 1.
    pub count: u16,
    /// The first entry.
    pub desc: u64,
    /// What they are.
    pub what: What,
}

/// What entry `desc` at `level` is in a table of this `form`, `None` when it is zero.
#[must_use]
pub const fn classify(desc: u64, level: Level, form: Form) -> Option<What> {
    if desc == 0 {
        return None;
    }
    Some(match desc::kind(desc, level, form) {
        Kind::Invalid => What::Invalid,
        Kind::Reserved => What::Reserved,
        Kind::Leaf | Kind::Table if form.address(desc).get() >> form.oa_bits != 0 => What::AddressSize,
        Kind::Leaf if desc & desc::leaf_res0(level, form) != 0 => What::LeafRes0,
        Kind::Leaf => What::Leaf,
        Kind::Table if form.lpa2.is_none() && desc & desc::TABLE_RES0 != 0 => What::TableRes0,
        Kind::Table => What::Table,
    })
}

/// Splits the entries of a table at `level` into runs, in order, without its zero entries.
/// `entries` are at most 512.
#[must_use]
pub fn runs(entries: impl Iterator<Item = u64>, level: Level, form: Form) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut expected = None;
    let size = level.entry_size();
    let next = |what, desc: u64| match what {
        What::Leaf | What::LeafRes0 => desc.checked_add(size),
        What::Invalid | What::Reserved | What::AddressSize => Some(desc),
        What::Table | What::TableRes0 => None,
    };
    for (index, desc) in (0_u16..512).zip(entries) {
        if let Some(run) = items.last_mut()
            && expected == Some(desc)
            && goes_on(run.what, desc, form)
        {
            run.count += 1;
            expected = next(run.what, desc);
            continue;
        }
        let what = classify(desc, level, form);
        items.extend(what.map(|what| Item { first: index, count: 1, desc, what }));
        expected = what.and_then(|what| next(what, desc));
    }
    items
}

/// Whether `desc`, which is what comes after an entry that is `what`, is so too: all of it but an output address is the same,
/// and that has not left its field.
const fn goes_on(what: What, desc: u64, form: Form) -> bool {
    let in_place = desc & form.field() != 0;
    !matches!(what, What::Leaf | What::LeafRes0) || in_place && form.address(desc).get() >> form.oa_bits == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const L3: Level = Level::LAST;
    const HYP: u64 = 0x2000_0000_0000_0002;

    fn item(first: u16, count: u16, desc: u64, what: What) -> Item {
        Item { first, count, desc, what }
    }

    #[test]
    fn contiguous_pages_with_the_same_attributes_are_one_run() {
        let entries = (0..512).map(|n| 0x4000_07ff + n * 4096);
        assert_eq!(runs(entries, L3, Form::of(48)), [item(0, 512, 0x4000_07ff, What::Leaf)]);
    }

    #[test]
    fn a_run_ends_where_address_attributes_or_kind_change() {
        let entries = [0, 0x1003, 0x2003, 0x2003, 0x3043, HYP, HYP, 0, HYP, 0x1];
        let expected = [
            item(1, 2, 0x1003, What::Leaf),
            item(3, 1, 0x2003, What::Leaf),
            item(4, 1, 0x3043, What::Leaf),
            item(5, 2, HYP, What::Invalid),
            item(8, 1, HYP, What::Invalid),
            item(9, 1, 0x1, What::Reserved),
        ];
        assert_eq!(runs(entries.into_iter(), L3, Form::of(48)), expected);
    }

    #[test]
    fn a_run_ends_where_the_address_wraps() {
        let last = 0xffff_ffff_f003;
        let wrapped = last + 0x1000;
        assert_eq!(classify(wrapped, L3, Form::of(48)), Some(What::LeafRes0), "bit 48 must be 0");
        let expected = [item(0, 1, last, What::Leaf), item(1, 1, wrapped, What::LeafRes0)];
        assert_eq!(runs([last, wrapped].into_iter(), L3, Form::of(48)), expected);
    }

    #[test]
    fn tables_never_join() {
        let level = Level::new(2).expect("a level");
        let expected = [item(0, 1, 0x1003, What::Table), item(1, 1, 0x1003, What::Table)];
        assert_eq!(runs([0x1003, 0x1003].into_iter(), level, Form::of(48)), expected);
        assert_eq!(classify(1 << 48 | 0x1003, level, Form::of(48)), Some(What::TableRes0));
    }

    #[test]
    fn a_run_stops_at_the_output_address_size() {
        let entries = [0xf_ffff_e003, 0xf_ffff_f003, 0x10_0000_0003];
        let expected = [item(0, 2, 0xf_ffff_e003, What::Leaf), item(2, 1, 0x10_0000_0003, What::AddressSize)];
        assert_eq!(runs(entries.into_iter(), L3, Form::of(36)), expected);
    }

    #[test]
    fn a_block_that_is_not_aligned_is_told_apart() {
        let level = Level::new(2).expect("a level");
        assert_eq!(classify(0x4020_0001, level, Form::of(48)), Some(What::Leaf));
        assert_eq!(classify(0x4020_1001, level, Form::of(48)), Some(What::LeafRes0));
        assert_eq!(classify(0x4021_0001, level, Form::of(48)), Some(What::Leaf), "bit 16 is nT");
    }

    #[test]
    fn with_52_bits_a_run_ends_where_the_address_leaves_its_place() {
        let form = Form { oa_bits: 52, lpa2: Some(3) };
        let last = 0x3_ffff_ffff_f003_u64;
        let (next, block) = (last + 0x1000, 0x1_0000_0000_0001);
        let items = runs([last, next].into_iter(), L3, form);
        assert_eq!(items.iter().map(|item| item.count).collect::<Vec<_>>(), [1, 1]);
        let level = Level::new(0).expect("a level");
        assert_eq!(classify(block, level, form), Some(What::Leaf));
        assert_eq!(classify(block, level, Form::of(48)), Some(What::Reserved));
    }
}
