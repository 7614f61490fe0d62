//! One descriptor of the 4 KiB granule: what kind it is, and where it points (DDI 0487, D8.3).

use std::fmt;

use parallax_addr::PhysAddr;

/// A level of lookup, -1 to 3. Level 3 maps pages; level -1 there is with 52-bit addresses only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(i8);

impl Level {
    /// The last level, whose entries map pages of 4 KiB.
    pub const LAST: Self = Self(3);

    /// The level above level 0.
    pub const FIRST: Self = Self(-1);

    /// Level `n`, `None` above 3.
    #[must_use]
    pub const fn new(n: u8) -> Option<Self> {
        if n <= 3 { Some(Self(n as i8)) } else { None }
    }

    /// Level `n`, `None` below -1 and above 3.
    #[must_use]
    pub const fn at(n: i8) -> Option<Self> {
        if n >= -1 && n <= 3 { Some(Self(n)) } else { None }
    }

    /// Its number, -1 to 3.
    #[must_use]
    pub const fn number(self) -> i8 {
        self.0
    }

    /// Lowest bit of an input address that this level resolves: 48, 39, 30, 21 or 12.
    #[must_use]
    pub const fn shift(self) -> u32 {
        12 + 9 * (3 - self.0) as u32
    }

    /// Bytes that one entry of this level covers.
    #[must_use]
    pub const fn entry_size(self) -> u64 {
        1 << self.shift()
    }

    /// The level below, `None` at the last.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        if self.0 < 3 { Some(Self(self.0 + 1)) } else { None }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "L{}", self.0)
    }
}

/// How the descriptors of a regime are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Form {
    /// Size of output addresses in bits.
    pub oa_bits: u32,
    /// FEAT_LPA2 with DS = 1: bits 49:48 and 9:8 belong to the address, and the shareability of all that is mapped is
    /// this one, from the control register.
    pub lpa2: Option<u8>,
}

impl Form {
    /// Addresses of at most 48 bits.
    #[must_use]
    pub const fn of(oa_bits: u32) -> Self {
        Self { oa_bits, lpa2: None }
    }

    /// The bits of a descriptor that hold an address, those that stand in their place.
    #[must_use]
    pub const fn field(self) -> u64 {
        if self.lpa2.is_some() { ADDRESS | TABLE_RES0 } else { ADDRESS }
    }

    /// The address in `desc`.
    #[must_use]
    pub const fn address(self, desc: u64) -> PhysAddr {
        let high = if self.lpa2.is_some() { (desc >> 8 & 0b11) << 50 } else { 0 };
        PhysAddr::new(desc & self.field() | high)
    }

    /// SH of the leaf `desc`.
    #[must_use]
    pub const fn shareability(self, desc: u64) -> u8 {
        match self.lpa2 {
            Some(sh) => sh,
            None => (desc >> 8 & 0b11) as u8,
        }
    }
}

/// Bits 47:12 of a descriptor: the address field of pages and tables.
pub const ADDRESS: u64 = 0x0000_ffff_ffff_f000;

/// What a descriptor is, by bits 1:0 and its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bit 0 is 0. The hardware ignores the other bits; a non-zero one may be an annotation.
    Invalid,
    /// 0b11 above level 3: the next table's address is in bits 47:12.
    Table,
    /// 0b01 at level 1 or 2 (0 with [`Form::lpa2`]), or 0b11 at level 3: maps memory.
    Leaf,
    /// 0b01 at another level: a reserved encoding, which the hardware treats as invalid.
    Reserved,
}

/// The kind of descriptor `desc` at `level`.
#[must_use]
pub const fn kind(desc: u64, level: Level, form: Form) -> Kind {
    match (desc & 0b11, level.0) {
        (0b01, 0) if form.lpa2.is_some() => Kind::Leaf,
        (0b11, 3) | (0b01, 1 | 2) => Kind::Leaf,
        (0b11, _) => Kind::Table,
        (0b01, _) => Kind::Reserved,
        _ => Kind::Invalid,
    }
}

/// Output address of the leaf `desc` at `level`, as the hardware takes it: bits below the size of the block do
/// not count.
#[must_use]
pub const fn leaf_address(desc: u64, level: Level, form: Form) -> PhysAddr {
    form.address(desc).align_down(level.entry_size())
}

/// Address of the next table of the table descriptor `desc`.
#[must_use]
pub const fn table_address(desc: u64, form: Form) -> PhysAddr {
    form.address(desc)
}

/// Bits 49:48 of a table descriptor, which must be 0 without 52-bit addresses.
pub const TABLE_RES0: u64 = 0b11 << 48;

/// The bits between the attributes and the output address of a block, which must be 0, without nT (bit 16).
/// A block whose address is not aligned to its size shows up here. For a page there are none.
#[must_use]
pub const fn leaf_res0(level: Level, form: Form) -> u64 {
    let low = ADDRESS & (level.entry_size() - 1);
    let high = if form.lpa2.is_some() { 0 } else { TABLE_RES0 };
    if level.0 == 3 { high } else { (low & !(1 << 16)) | high }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_depends_on_the_level() {
        use Kind::*;
        let expected = [
            [Invalid, Reserved, Invalid, Table],
            [Invalid, Leaf, Invalid, Table],
            [Invalid, Leaf, Invalid, Table],
            [Invalid, Reserved, Invalid, Leaf],
        ];
        for (level, row) in expected.into_iter().enumerate() {
            for (low, kind_expected) in row.into_iter().enumerate() {
                let level = Level::new(level as u8).expect("0 to 3");
                assert_eq!(
                    kind(0xabcd_1230_0000_0400 | low as u64, level, Form::of(48)),
                    kind_expected,
                    "{level} {low:#b}"
                );
            }
        }
    }

    #[test]
    fn a_level_covers_what_the_manual_says() {
        let sizes: Vec<_> = (0..4).filter_map(Level::new).map(Level::entry_size).collect();
        assert_eq!(sizes, [512 << 30, 1 << 30, 2 << 20, 4 << 10]);
        assert_eq!(Level::new(4), None);
        assert_eq!(Level::LAST.next(), None);
        assert_eq!((Level::FIRST.entry_size(), Level::FIRST.next()), (1 << 48, Level::new(0)));
    }

    #[test]
    fn with_52_bits_the_address_has_four_bits_more_and_sh_is_the_registers() {
        let form = Form { oa_bits: 52, lpa2: Some(0b11) };
        let desc = 0x0003_8000_4000_0703_u64;
        assert_eq!(form.address(desc), PhysAddr::new(0x000f_8000_4000_0000));
        assert_eq!((form.shareability(desc & !0x300), Form::of(48).shareability(desc)), (0b11, 0b11));
        let level = |number| Level::new(number).expect("a level");
        assert_eq!(leaf_res0(level(1), form), 0x3fff_f000 & !(1 << 16));
        assert_eq!(kind(1, level(0), form), Kind::Leaf);
        assert_eq!((kind(1, Level::FIRST, form), kind(3, Level::FIRST, form)), (Kind::Reserved, Kind::Table));
    }

    #[test]
    fn address_bits_below_the_block_size_are_dropped_and_reported() {
        let level = Level::new(2).expect("a level");
        let desc = 0x0000_0000_4021_5401;
        let form = Form::of(48);
        assert_eq!(leaf_address(desc, level, form), PhysAddr::new(0x4020_0000));
        assert_eq!(desc & leaf_res0(level, form), 0x5000, "bit 16 is nT and may be set");
        assert_eq!(leaf_res0(Level::LAST, form), 0b11 << 48);
    }
}
