//! The attribute fields of a stage-2 leaf (DDI 0487, D8.3 and D8.6).

use crate::attrs::Shareability;
pub use crate::mem_attr::MemAttr;
use crate::regs::{bit, bits};

/// XN, bits 54:53 (FEAT_XNX): which exception levels may execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum S2Xn {
    /// 0b00: EL1 and EL0.
    All,
    /// 0b01: EL0 only.
    El0Only,
    /// 0b10: neither.
    None,
    /// 0b11: EL1 only.
    El1Only,
}

impl S2Xn {
    /// From the two bits of the field.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0b00 => Self::All,
            0b01 => Self::El0Only,
            0b10 => Self::None,
            _ => Self::El1Only,
        }
    }

    /// Whether EL1 may execute.
    #[must_use]
    pub const fn el1(self) -> bool {
        matches!(self, Self::All | Self::El1Only)
    }

    /// Whether EL0 may execute.
    #[must_use]
    pub const fn el0(self) -> bool {
        matches!(self, Self::All | Self::El0Only)
    }
}

/// The fields of a stage-2 leaf beside its output address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stage2Attrs {
    /// MemAttr, bits 5:2.
    pub mem: MemAttr,
    /// S2AP bit 0, bit 6: reads are allowed.
    pub read: bool,
    /// S2AP bit 1, bit 7: writes are allowed.
    pub write: bool,
    /// SH, bits 9:8.
    pub sh: Shareability,
    /// AF, bit 10: an access without it faults, unless hardware manages the flag.
    pub af: bool,
    /// FnXS, bit 11 (FEAT_XS).
    pub fnxs: bool,
    /// nT, bit 16 of a block (FEAT_BBML1); in a page it belongs to the address and is false here.
    pub nt: bool,
    /// DBM, bit 51: dirty bit modifier.
    pub dbm: bool,
    /// Contiguous, bit 52: 16 adjacent entries may share a TLB entry.
    pub contiguous: bool,
    /// XN, bits 54:53.
    pub xn: S2Xn,
    /// Bits 58:55, for software.
    pub sw: u8,
    /// Bits 63:59, ignored or for extensions (PBHA).
    pub high: u8,
}

impl Stage2Attrs {
    /// The fields of leaf `desc` (a block when `block`) under HCR_EL2.FWB `fwb`.
    #[must_use]
    pub const fn decode(desc: u64, block: bool, fwb: bool) -> Self {
        Self {
            mem: MemAttr::decode(bits(desc, 5, 2) as u8, fwb),
            read: bit(desc, 6),
            write: bit(desc, 7),
            sh: Shareability::from_bits(bits(desc, 9, 8) as u8),
            af: bit(desc, 10),
            fnxs: bit(desc, 11),
            nt: block && bit(desc, 16),
            dbm: bit(desc, 51),
            contiguous: bit(desc, 52),
            xn: S2Xn::from_bits(bits(desc, 54, 53) as u8),
            sw: bits(desc, 58, 55) as u8,
            high: bits(desc, 63, 59) as u8,
        }
    }

    /// The page state that a hypervisor after pKVM's model keeps in bits 56:55 (0 to 3).
    #[must_use]
    pub const fn page_state(&self) -> u8 {
        self.sw & 0b11
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memtype::MemType;

    /// A value, a field, and what the field is in the value; in its complement it is 0.
    type Case<T> = (u64, fn(&T) -> u64, u64);

    #[test]
    fn the_smmu_leaf_0x7ff_is_read_write_inner_shareable_write_back() {
        let attrs = Stage2Attrs::decode(0x4020_07ff, false, false);
        assert_eq!(attrs.mem, MemAttr::Type(MemType::WB));
        assert!(attrs.read && attrs.write && attrs.af && !attrs.dbm && !attrs.contiguous);
        assert_eq!((attrs.sh, attrs.xn), (Shareability::InnerShareable, S2Xn::All));
        assert_eq!((attrs.sw, attrs.high), (0, 0));
    }

    #[test]
    fn each_field_stands_where_the_manual_puts_it() {
        let cases: &[Case<Stage2Attrs>] = &[
            (1 << 6, |a| a.read.into(), 1),
            (1 << 7, |a| a.write.into(), 1),
            (1 << 10, |a| a.af.into(), 1),
            (1 << 11, |a| a.fnxs.into(), 1),
            (1 << 16, |a| a.nt.into(), 1),
            (1 << 51, |a| a.dbm.into(), 1),
            (1 << 52, |a| a.contiguous.into(), 1),
            (0b1111 << 55, |a| a.sw.into(), 0b1111),
            (0b11 << 55, |a| a.page_state().into(), 0b11),
            (0b11111 << 59, |a| a.high.into(), 0b11111),
        ];
        for (desc, field, value) in cases {
            assert_eq!(field(&Stage2Attrs::decode(*desc, true, false)), *value, "{desc:#x}");
            assert_eq!(field(&Stage2Attrs::decode(!desc, true, false)), 0, "not {desc:#x}");
        }
        assert!(!Stage2Attrs::decode(1 << 16, false, false).nt, "bit 16 of a page is address");
    }

    #[test]
    fn xn_says_who_may_execute() {
        let who: Vec<_> = (0..4).map(S2Xn::from_bits).map(|xn| (xn.el1(), xn.el0())).collect();
        assert_eq!(who, [(true, true), (false, true), (false, false), (true, false)]);
    }
}
