//! The shape of a stage-2 tree (Arm ARM, D8.2), and the register and STE fields that describe it.

use super::{Level, shift};
use crate::addr::PAGE_SIZE;

/// How many address bits are translated, and where the walk starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    bits: u32,
    start: Level,
}

impl Geometry {
    /// The tree for `bits` (32 to 48) bits of input address: it starts at the lowest level that 16 concatenated
    /// tables allow. `None` for any other number of bits.
    #[must_use]
    pub const fn stage2(bits: u32) -> Option<Self> {
        match bits {
            32..=34 => Some(Self { bits, start: 2 }),
            35..=43 => Some(Self { bits, start: 1 }),
            44..=48 => Some(Self { bits, start: 0 }),
            _ => None,
        }
    }

    /// EL2's stage 1: 48 bits, no concatenation.
    #[must_use]
    pub const fn el2() -> Self {
        Self { bits: 48, start: 0 }
    }

    /// Bits of the input address.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.bits
    }

    /// The first input address that is too large.
    #[must_use]
    pub const fn limit(self) -> u64 {
        1 << self.bits
    }

    /// The level at which the walk starts.
    #[must_use]
    pub const fn start_level(self) -> Level {
        self.start
    }

    /// Pages of the root: 1, or up to 16 concatenated tables. The root is aligned to its size.
    #[must_use]
    pub const fn root_pages(self) -> u64 {
        let entries = 1u64 << self.bits.saturating_sub(shift(self.start));
        (entries * 8).div_ceil(PAGE_SIZE)
    }

    /// T0SZ: 64 minus the bits of the input address.
    #[must_use]
    pub const fn t0sz(self) -> u8 {
        (64 - self.bits) as u8
    }

    /// SL0 for the 4 KiB granule: 2, 1, 0 for a walk that starts at level 0, 1, 2.
    #[must_use]
    pub const fn sl0(self) -> u8 {
        2 - self.start
    }

    /// VTCR_EL2 (Arm ARM, D24.2.207) for this tree and output addresses of size code `ps` ([`PhysSize`]): inner
    /// shareable, write-back walks, 4 KiB granule, 8-bit VMIDs.
    #[must_use]
    pub const fn vtcr_el2(self, ps: PhysSize) -> u64 {
        const RES1: u64 = 1 << 31;
        const SH0_INNER: u64 = 0b11 << 12;
        const ORGN0_WRITE_BACK: u64 = 0b01 << 10;
        const IRGN0_WRITE_BACK: u64 = 0b01 << 8;
        RES1 | (ps.0 as u64) << 16
            | SH0_INNER
            | ORGN0_WRITE_BACK
            | IRGN0_WRITE_BACK
            | (self.sl0() as u64) << 6
            | self.t0sz() as u64
    }
}

/// TCR_EL2 (Arm ARM, D24.2.191) for EL2's tree and output addresses of size code `ps`: 48 bits, inner shareable,
/// write-back walks, 4 KiB granule.
#[must_use]
pub const fn tcr_el2(ps: PhysSize) -> u64 {
    const RES1: u64 = 1 << 31 | 1 << 23;
    const SH0_INNER: u64 = 0b11 << 12;
    const ORGN0_WRITE_BACK: u64 = 0b01 << 10;
    const IRGN0_WRITE_BACK: u64 = 0b01 << 8;
    RES1 | (ps.0 as u64) << 16
        | SH0_INNER
        | ORGN0_WRITE_BACK
        | IRGN0_WRITE_BACK
        | Geometry::el2().t0sz() as u64
}

/// The code of a physical address size, as in ID_AA64MMFR0_EL1.PARange, VTCR_EL2.PS and STE.S2PS: 0 to 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PhysSize(pub u8);

impl PhysSize {
    /// What the 4 KiB granule without FEAT_LPA2 can use: at most 48 bits.
    #[must_use]
    pub const fn from_id_aa64mmfr0(id: u64) -> Self {
        let parange = (id & 0xf) as u8;
        Self(if parange > 5 { 5 } else { parange })
    }

    /// Bits of a physical address: 32, 36, 40, 42, 44 or 48.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self.0 {
            0 => 32,
            1 => 36,
            2 => 40,
            3 => 42,
            4 => 44,
            _ => 48,
        }
    }
}

/// Whether the CPU may change a block into a table in place: FEAT_BBM level 2 (ID_AA64MMFR2_EL1.BBM, bits 55:52).
#[must_use]
pub const fn has_bbm_level_2(id_aa64mmfr2: u64) -> bool {
    (id_aa64mmfr2 >> 52) & 0xf >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_concatenated_where_the_size_asks_for_it() {
        let shape = |bits| {
            let g = Geometry::stage2(bits).unwrap();
            (g.start_level(), g.sl0(), g.root_pages())
        };
        assert_eq!(shape(32), (2, 0, 4));
        assert_eq!(shape(34), (2, 0, 16));
        assert_eq!(shape(36), (1, 1, 1));
        assert_eq!(shape(40), (1, 1, 2));
        assert_eq!(shape(43), (1, 1, 16));
        assert_eq!(shape(44), (0, 2, 1));
        assert_eq!(shape(48), (0, 2, 1));
        assert_eq!(Geometry::stage2(49), None);
        assert_eq!(Geometry::stage2(31), None);
    }

    #[test]
    fn registers_follow_the_id_registers() {
        let ps = PhysSize::from_id_aa64mmfr0(0x1122);
        assert_eq!(ps.bits(), 40);
        assert_eq!(Geometry::stage2(40).unwrap().vtcr_el2(ps), 0x8002_3558);
        assert_eq!(PhysSize::from_id_aa64mmfr0(6).bits(), 48);
        assert_eq!(tcr_el2(PhysSize(5)), 0x8085_3510);
        assert!(has_bbm_level_2(2 << 52) && !has_bbm_level_2(1 << 52));
    }
}
