//! What a store does to an entry (Arm ARM, D8.17.1, "Using break-before-make").

use parallax_vmsa::desc::{ADDRESS, Form, Kind, Level, kind};

/// Which format of leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// EL2's stage 1.
    One,
    /// Stage 2.
    Two,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Invalid,
    Table(u64),
    Leaf,
}

/// Decodes an entry.
pub(super) const fn entry(desc: u64, level: i8) -> Entry {
    let Some(at) = Level::at(level) else { return Entry::Invalid };
    match kind(desc, at, Form::of(48)) {
        Kind::Table => Entry::Table(desc & ADDRESS),
        Kind::Leaf => Entry::Leaf,
        Kind::Invalid | Kind::Reserved => Entry::Invalid,
    }
}

/// Bytes that an entry covers.
pub(super) const fn span(level: i8) -> u64 {
    1 << (12 + 9 * (3 - level) as u32)
}

/// What a leaf gets from its descriptor, apart from permissions.
const CONTIGUOUS: u64 = 1 << 52;
const SH: u64 = 0b11 << 8;
const NT: u64 = 1 << 16;

/// What a change means to those who may hold the old value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing: the translation is the same, or wider.
    None,
    /// Invalid before, valid now.
    Publish,
    /// Valid before, invalid now.
    Invalidate,
    /// Less is allowed: stale copies must go, no break needed.
    Reduce,
    /// Block to table or back: needs a break, unless both mean the same and FEAT_BBM level 2 is there.
    Resize,
    /// Needs a break.
    Break(&'static str),
}

/// Compares two values of an entry.
pub(super) fn change(stage: Stage, level: i8, old: u64, new: u64) -> Change {
    match (entry(old, level), entry(new, level)) {
        _ if old == new => Change::None,
        (Entry::Invalid, Entry::Invalid) => Change::None,
        (Entry::Invalid, _) => Change::Publish,
        (_, Entry::Invalid) => Change::Invalidate,
        (Entry::Table(a), Entry::Table(b)) if a != b => Change::Break("another table"),
        (Entry::Table(_), Entry::Table(_)) => Change::None,
        (Entry::Leaf, Entry::Leaf) => leaves(stage, level, old, new),
        _ => Change::Resize,
    }
}

fn leaves(stage: Stage, level: i8, old: u64, new: u64) -> Change {
    let differs = |mask: u64| (old ^ new) & mask != 0;
    let address = ADDRESS & !(span(level) - 1);
    let memory = match stage {
        Stage::One => 0b111 << 2,
        Stage::Two => 0b1111 << 2,
    };
    if differs(address) {
        return Change::Break("another output address");
    }
    if differs(memory) {
        return Change::Break("another memory type");
    }
    if differs(SH) {
        return Change::Break("another shareability");
    }
    if differs(CONTIGUOUS) {
        return Change::Resize;
    }
    if level < 3 && differs(NT) {
        return Change::None;
    }
    if reduced(stage, old, new) { Change::Reduce } else { Change::None }
}

/// Whether an access that was allowed is so no longer.
fn reduced(stage: Stage, old: u64, new: u64) -> bool {
    let allowed = |desc: u64| match stage {
        // AP[2] forbids writes, XN execution.
        Stage::One => [desc >> 7 & 1 == 0, desc >> 54 & 1 == 0, true, true],
        // S2AP: read, write. XN[1:0]: 00 all, 01 EL0 only, 10 none, 11 EL1 only.
        Stage::Two => {
            let xn = desc >> 53 & 0b11;
            [desc >> 7 & 1 == 1, xn == 0b00 || xn == 0b11, desc >> 6 & 1 == 1, xn <= 0b01]
        }
    };
    allowed(old).iter().zip(allowed(new)).any(|(before, after)| *before && !after)
}

/// Whether `child`, an entry of the level below at `index`, translates as the block `desc` does.
pub(super) fn same_translation(desc: u64, level: i8, index: u64, child: u64) -> bool {
    let below = level + 1;
    let address = |desc: u64, level: i8| desc & ADDRESS & !(span(level) - 1);
    // Attributes: bits 11:2 and 54:50; not the contiguous hint, which is about size.
    let attributes = (0x3ff << 2 | 0x1f << 50) & !CONTIGUOUS;
    entry(child, below) == Entry::Leaf
        && address(child, below) == address(desc, level) + index * span(below)
        && (child ^ desc) & attributes == 0
}

/// Whether a leaf has the contiguous hint.
pub(super) const fn contiguous(desc: u64) -> bool {
    desc & CONTIGUOUS != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const RW: u64 = 0b11 << 6 | 0b11 << 8 | 0xf << 2 | 1 << 10;

    #[test]
    fn changes_of_a_leaf_are_told_apart() {
        let page = 0x4000_0000 | RW | 0b11;
        let cases = [
            (page | 1 << 55, Change::None),
            (page & !(1 << 7), Change::Reduce),
            (page | 0b10 << 53, Change::Reduce),
            (page ^ 0x1000, Change::Break("another output address")),
            (page & !(0xf << 2), Change::Break("another memory type")),
            (page & !SH, Change::Break("another shareability")),
            (page | CONTIGUOUS, Change::Resize),
            (0, Change::Invalidate),
        ];
        for (new, expected) in cases {
            assert_eq!(change(Stage::Two, 3, page, new), expected, "{new:#x}");
        }
        assert_eq!(change(Stage::Two, 3, page & !(1 << 7), page), Change::None, "more is allowed");
        assert_eq!(change(Stage::One, 3, page, page | 1 << 7), Change::None, "it was read-only before");
        assert_eq!(change(Stage::Two, 2, 0x4000_0000 | RW | 1, 0x5003), Change::Resize);
        assert_eq!(change(Stage::Two, 3, 0, 0x2), Change::None, "an annotation is invalid too");
    }

    #[test]
    fn a_child_translates_as_its_block() {
        let block = 0x4000_0000 | RW | 0b01;
        assert!(same_translation(block, 2, 5, 0x4000_5000 | RW | 0b11));
        assert!(!same_translation(block, 2, 6, 0x4000_5000 | RW | 0b11));
        assert!(!same_translation(block, 2, 5, 0x4000_5000 | 0b11));
        assert!(!same_translation(block, 2, 5, 0));
    }
}
