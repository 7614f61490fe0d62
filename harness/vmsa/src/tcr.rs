//! Translation control registers: VTCR_EL2 (stage 2) and TCR_EL2 (EL2's stage 1).
//!
//! Fields are decoded here; whether their combination makes sense is for [`crate::regime`] to say.

use crate::regs::{bit, bits};

/// VTCR_EL2 (DDI 0487, D24.2), by field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vtcr {
    /// T0SZ, bits 5:0: input addresses have 64 − T0SZ bits.
    pub t0sz: u8,
    /// SL0, bits 7:6, with SL2, bit 33, as its third bit: starting level of the walk.
    pub sl0: u8,
    /// IRGN0, bits 9:8: inner cacheability of the walk (0 NC, 1 WB RA WA, 2 WT RA, 3 WB RA).
    pub irgn0: u8,
    /// ORGN0, bits 11:10: outer cacheability of the walk, as IRGN0.
    pub orgn0: u8,
    /// SH0, bits 13:12: shareability of the walk (0 non-, 2 outer, 3 inner shareable).
    pub sh0: u8,
    /// TG0, bits 15:14: granule (0 4 KiB, 1 64 KiB, 2 16 KiB).
    pub tg0: u8,
    /// PS, bits 18:16: output address size.
    pub ps: u8,
    /// VS, bit 19: VMIDs have 16 bits, not 8.
    pub vs: bool,
    /// HA, bit 21: hardware sets the Access flag.
    pub ha: bool,
    /// HD, bit 22: hardware manages dirty state.
    pub hd: bool,
    /// NSW, bit 29, and NSA, bit 30, as bits 0 and 1.
    pub ns: u8,
    /// Bit 31, RES1.
    pub res1: bool,
    /// DS, bit 32: 52-bit addresses with 4 KiB and 16 KiB granules (FEAT_LPA2).
    pub ds: bool,
}

impl Vtcr {
    /// The fields of register value `raw`.
    #[must_use]
    pub const fn decode(raw: u64) -> Self {
        Self {
            t0sz: bits(raw, 5, 0) as u8,
            sl0: (bits(raw, 7, 6) | bits(raw, 33, 33) << 2) as u8,
            irgn0: bits(raw, 9, 8) as u8,
            orgn0: bits(raw, 11, 10) as u8,
            sh0: bits(raw, 13, 12) as u8,
            tg0: bits(raw, 15, 14) as u8,
            ps: bits(raw, 18, 16) as u8,
            vs: bit(raw, 19),
            ha: bit(raw, 21),
            hd: bit(raw, 22),
            ns: bits(raw, 30, 29) as u8,
            res1: bit(raw, 31),
            ds: bit(raw, 32),
        }
    }
}

/// TCR_EL2 with HCR_EL2.E2H = 0 (DDI 0487, D24.2), by field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcr {
    /// T0SZ, bits 5:0: input addresses have 64 − T0SZ bits.
    pub t0sz: u8,
    /// IRGN0, bits 9:8: inner cacheability of the walk.
    pub irgn0: u8,
    /// ORGN0, bits 11:10: outer cacheability of the walk.
    pub orgn0: u8,
    /// SH0, bits 13:12: shareability of the walk.
    pub sh0: u8,
    /// TG0, bits 15:14: granule (0 4 KiB, 1 64 KiB, 2 16 KiB).
    pub tg0: u8,
    /// PS, bits 18:16: output address size.
    pub ps: u8,
    /// TBI, bit 20: the top byte of an address is ignored.
    pub tbi: bool,
    /// HA, bit 21: hardware sets the Access flag.
    pub ha: bool,
    /// HD, bit 22: hardware manages dirty state.
    pub hd: bool,
    /// HPD, bit 24: table descriptors' permission bits are ignored.
    pub hpd: bool,
    /// Bits 31 and 23, both RES1.
    pub res1: bool,
    /// DS, bit 32: 52-bit addresses with 4 KiB and 16 KiB granules (FEAT_LPA2).
    pub ds: bool,
}

impl Tcr {
    /// The fields of register value `raw`.
    #[must_use]
    pub const fn decode(raw: u64) -> Self {
        Self {
            t0sz: bits(raw, 5, 0) as u8,
            irgn0: bits(raw, 9, 8) as u8,
            orgn0: bits(raw, 11, 10) as u8,
            sh0: bits(raw, 13, 12) as u8,
            tg0: bits(raw, 15, 14) as u8,
            ps: bits(raw, 18, 16) as u8,
            tbi: bit(raw, 20),
            ha: bit(raw, 21),
            hd: bit(raw, 22),
            hpd: bit(raw, 24),
            res1: bit(raw, 31) && bit(raw, 23),
            ds: bit(raw, 32),
        }
    }
}

impl Tcr {
    /// The same of a register value with HCR_EL2.E2H = 1, which has TCR_EL1's layout; of the lower range alone, which
    /// TTBR0_EL2 translates.
    #[must_use]
    pub const fn decode_e2h(raw: u64) -> Self {
        Self {
            ps: bits(raw, 34, 32) as u8,
            tbi: bit(raw, 37),
            ha: bit(raw, 39),
            hd: bit(raw, 40),
            hpd: bit(raw, 41),
            res1: true,
            ds: bit(raw, 59),
            ..Self::decode(raw)
        }
    }
}

/// The same with DS = 1.
#[must_use]
pub const fn output_bits_lpa2(ps: u8) -> Option<u32> {
    match ps {
        0b110 => Some(52),
        other => output_bits(other),
    }
}

/// Output address size in bits that a PS or IPS field asks for, `None` when it is reserved.
///
/// 52 bits (0b110) mean 48 with the 4 KiB granule unless DS is set.
#[must_use]
pub const fn output_bits(ps: u8) -> Option<u32> {
    match ps {
        0b000 => Some(32),
        0b001 => Some(36),
        0b010 => Some(40),
        0b011 => Some(42),
        0b100 => Some(44),
        0b101 | 0b110 => Some(48),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value, a field, and what the field is in the value; in its complement it is 0.
    type Case<T> = (u64, fn(&T) -> u64, u64);

    #[test]
    fn vtcr_fields_stand_where_the_manual_puts_them() {
        let cases: &[Case<Vtcr>] = &[
            (0x3f, |v| v.t0sz.into(), 0x3f),
            (0b11 << 6, |v| (v.sl0 & 0b11).into(), 3),
            (1 << 33, |v| (v.sl0 >> 2).into(), 1),
            (0b11 << 8, |v| v.irgn0.into(), 3),
            (0b11 << 10, |v| v.orgn0.into(), 3),
            (0b11 << 12, |v| v.sh0.into(), 3),
            (0b11 << 14, |v| v.tg0.into(), 3),
            (0b111 << 16, |v| v.ps.into(), 7),
            (1 << 19, |v| v.vs.into(), 1),
            (1 << 21, |v| v.ha.into(), 1),
            (1 << 22, |v| v.hd.into(), 1),
            (0b11 << 29, |v| v.ns.into(), 3),
            (1 << 31, |v| v.res1.into(), 1),
            (1 << 32, |v| v.ds.into(), 1),
        ];
        for (raw, field, value) in cases {
            assert_eq!(field(&Vtcr::decode(*raw)), *value, "{raw:#x}");
            assert_eq!(field(&Vtcr::decode(!raw)), 0, "not {raw:#x}");
        }
    }

    #[test]
    fn tcr_fields_stand_where_the_manual_puts_them() {
        let cases: &[Case<Tcr>] = &[
            (0x3f, |v| v.t0sz.into(), 0x3f),
            (0b11 << 8, |v| v.irgn0.into(), 3),
            (0b11 << 10, |v| v.orgn0.into(), 3),
            (0b11 << 12, |v| v.sh0.into(), 3),
            (0b11 << 14, |v| v.tg0.into(), 3),
            (0b111 << 16, |v| v.ps.into(), 7),
            (1 << 20, |v| v.tbi.into(), 1),
            (1 << 21, |v| v.ha.into(), 1),
            (1 << 22, |v| v.hd.into(), 1),
            (1 << 24, |v| v.hpd.into(), 1),
            (1 << 31 | 1 << 23, |v| v.res1.into(), 1),
            (1 << 32, |v| v.ds.into(), 1),
        ];
        for (raw, field, value) in cases {
            assert_eq!(field(&Tcr::decode(*raw)), *value, "{raw:#x}");
            assert_eq!(field(&Tcr::decode(!raw)), 0, "not {raw:#x}");
        }
    }

    #[test]
    fn output_sizes_are_those_of_the_manual() {
        let sizes: Vec<_> = (0..8).map(output_bits).collect();
        let expected = [32, 36, 40, 42, 44, 48, 48].map(Some);
        assert_eq!(sizes[..7], expected);
        assert_eq!(sizes[7], None);
    }
}
