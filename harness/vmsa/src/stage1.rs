//! The attribute fields of a stage-1 leaf and of stage-1 table descriptors (DDI 0487, D8.3 and D8.4).

use crate::attrs::{MemAttrs, MemType, Shareability};
use crate::regime::Stage1Controls;
use crate::regs::{bit, bits};

/// Hierarchical controls that the table descriptors on the way to an entry impose on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TableAttrs {
    /// APTable bit 1, bit 62: no writes below.
    pub no_write: bool,
    /// APTable bit 0, bit 61: no access from EL0 below (RES0 at EL2 without VHE).
    pub no_el0: bool,
    /// UXNTable, or XNTable with a single privilege level, bit 60.
    pub uxn: bool,
    /// PXNTable, bit 59 (RES0 at EL2 without VHE).
    pub pxn: bool,
    /// NSTable, bit 63.
    pub ns: bool,
}

impl TableAttrs {
    /// The controls of table descriptor `desc` alone.
    #[must_use]
    pub const fn decode(desc: u64) -> Self {
        Self {
            no_write: bit(desc, 62),
            no_el0: bit(desc, 61),
            uxn: bit(desc, 60),
            pxn: bit(desc, 59),
            ns: bit(desc, 63),
        }
    }

    /// The controls of two tables, one below the other.
    #[must_use]
    pub const fn and_below(self, below: Self) -> Self {
        Self {
            no_write: self.no_write | below.no_write,
            no_el0: self.no_el0 | below.no_el0,
            uxn: self.uxn | below.uxn,
            pxn: self.pxn | below.pxn,
            ns: self.ns | below.ns,
        }
    }
}

/// What an exception level may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Permissions {
    /// Load.
    pub read: bool,
    /// Store.
    pub write: bool,
    /// Fetch instructions.
    pub execute: bool,
}

/// The fields of a stage-1 leaf beside its output address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stage1Attrs {
    /// AttrIndx, bits 4:2: which byte of MAIR_ELx holds the memory type.
    pub attr_indx: u8,
    /// NS, bit 5.
    pub ns: bool,
    /// AP bits 2:1, bits 7:6: bit 1 read-only, bit 0 EL0 too (RES1 with a single privilege level).
    pub ap: u8,
    /// SH, bits 9:8.
    pub sh: Shareability,
    /// AF, bit 10.
    pub af: bool,
    /// nG, bit 11: not global.
    pub ng: bool,
    /// nT, bit 16 of a block (FEAT_BBML1); false for a page.
    pub nt: bool,
    /// GP, bit 50: guarded page (FEAT_BTI).
    pub gp: bool,
    /// DBM, bit 51.
    pub dbm: bool,
    /// Contiguous, bit 52.
    pub contiguous: bool,
    /// PXN, bit 53 (RES0 with a single privilege level).
    pub pxn: bool,
    /// UXN, or XN with a single privilege level, bit 54.
    pub uxn: bool,
    /// Bits 58:55, for software.
    pub sw: u8,
    /// Bits 63:59, ignored or for extensions (PBHA).
    pub high: u8,
}

impl Stage1Attrs {
    /// The fields of leaf `desc` (a block when `block`).
    #[must_use]
    pub const fn decode(desc: u64, block: bool) -> Self {
        Self {
            attr_indx: bits(desc, 4, 2) as u8,
            ns: bit(desc, 5),
            ap: bits(desc, 7, 6) as u8,
            sh: Shareability::from_bits(bits(desc, 9, 8) as u8),
            af: bit(desc, 10),
            ng: bit(desc, 11),
            nt: block && bit(desc, 16),
            gp: bit(desc, 50),
            dbm: bit(desc, 51),
            contiguous: bit(desc, 52),
            pxn: bit(desc, 53),
            uxn: bit(desc, 54),
            sw: bits(desc, 58, 55) as u8,
            high: bits(desc, 63, 59) as u8,
        }
    }

    /// The memory type that AttrIndx selects in `mair`, `None` for an encoding without a meaning.
    #[must_use]
    pub const fn mem_type(&self, mair: u64) -> Option<MemType> {
        MemType::from_mair((mair >> (8 * self.attr_indx as u32)) as u8)
    }

    /// Memory type and shareability of an access through this leaf.
    #[must_use]
    pub fn mem_attrs(&self, controls: &Stage1Controls) -> Option<MemAttrs> {
        Some(MemAttrs::new(self.mem_type(controls.mair)?, self.sh))
    }

    /// What EL2 may do, given the tables above the leaf. With E2H = 1 its regime has two privilege levels: PXN is EL2's, and what EL0 may
    /// write EL2 does not execute (DDI 0487, D8.4.2).
    #[must_use]
    pub const fn el2_permissions(&self, tables: TableAttrs, controls: &Stage1Controls) -> Permissions {
        let (no_write, no_execute) = if controls.hpd {
            (false, false)
        } else {
            (tables.no_write, if controls.e2h { tables.pxn } else { tables.uxn })
        };
        let write = self.ap & 0b10 == 0 && !no_write;
        let never = if controls.e2h {
            self.pxn || write && self.ap & 1 != 0 && (controls.hpd || !tables.no_el0)
        } else {
            self.uxn
        };
        let execute = !(never || no_execute || write && controls.wxn);
        Permissions { read: true, write, execute }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value, a field, and what the field is in the value; in its complement it is 0.
    type Case<T> = (u64, fn(&T) -> u64, u64);

    const CONTROLS: Stage1Controls =
        Stage1Controls { mair: 0x0000_0000_0000_04ff, hpd: false, wxn: false, e2h: false };

    #[test]
    fn each_field_stands_where_the_manual_puts_it() {
        let cases: &[Case<Stage1Attrs>] = &[
            (0b111 << 2, |a| a.attr_indx.into(), 7),
            (1 << 5, |a| a.ns.into(), 1),
            (0b11 << 6, |a| a.ap.into(), 3),
            (1 << 10, |a| a.af.into(), 1),
            (1 << 11, |a| a.ng.into(), 1),
            (1 << 16, |a| a.nt.into(), 1),
            (1 << 50, |a| a.gp.into(), 1),
            (1 << 51, |a| a.dbm.into(), 1),
            (1 << 52, |a| a.contiguous.into(), 1),
            (1 << 53, |a| a.pxn.into(), 1),
            (1 << 54, |a| a.uxn.into(), 1),
            (0b1111 << 55, |a| a.sw.into(), 15),
            (0b11111 << 59, |a| a.high.into(), 31),
        ];
        for (desc, field, value) in cases {
            assert_eq!(field(&Stage1Attrs::decode(*desc, true)), *value, "{desc:#x}");
            assert_eq!(field(&Stage1Attrs::decode(!desc, true)), 0, "not {desc:#x}");
        }
    }

    #[test]
    fn the_memory_type_comes_from_mair() {
        let attrs = |desc| Stage1Attrs::decode(desc, false).mem_attrs(&CONTROLS);
        assert_eq!(attrs(0b11 << 8), Some(MemAttrs::new(MemType::WB, Shareability::InnerShareable)));
        let device = attrs(1 << 2 | 0b11 << 8).expect("Attr1 is Device-nGnRE");
        assert!(device.ty.is_device());
        assert_eq!(device.sh, Shareability::OuterShareable);
    }

    #[test]
    fn el2_permissions_follow_leaf_tables_and_wxn() {
        let rw = Stage1Attrs::decode(1 << 6, false);
        let none = TableAttrs::default();
        let p = |read, write, execute| Permissions { read, write, execute };
        assert_eq!(rw.el2_permissions(none, &CONTROLS), p(true, true, true));
        let wxn = Stage1Controls { wxn: true, ..CONTROLS };
        assert_eq!(rw.el2_permissions(none, &wxn), p(true, true, false));
        let tables = TableAttrs::decode(1 << 62).and_below(TableAttrs::decode(1 << 60));
        assert_eq!(rw.el2_permissions(tables, &CONTROLS), p(true, false, false));
        let hpd = Stage1Controls { hpd: true, ..CONTROLS };
        assert_eq!(rw.el2_permissions(tables, &hpd), p(true, true, true));
        let ro_xn = Stage1Attrs::decode(0b11 << 6 | 1 << 54, false);
        assert_eq!(ro_xn.el2_permissions(none, &CONTROLS), p(true, false, false));
    }

    #[test]
    fn with_vhe_el2_has_execute_never_of_its_own() {
        let vhe = Stage1Controls { e2h: true, ..CONTROLS };
        let may = |desc: u64, tables| Stage1Attrs::decode(desc, false).el2_permissions(tables, &vhe).execute;
        let none = TableAttrs::default();
        assert!(may(1 << 54, none) && !may(1 << 53, none) && !may(1 << 6, none));
        assert!(may(0, TableAttrs::decode(1 << 60)) && !may(0, TableAttrs::decode(1 << 59)));
        assert!(may(1 << 6, TableAttrs::decode(1 << 61)), "APTable takes EL0's access");
    }

    #[test]
    fn table_bits_are_told_apart() {
        let on = |bit: u32| {
            let t = TableAttrs::decode(1 << bit);
            [t.ns, t.no_write, t.no_el0, t.uxn, t.pxn].map(u8::from)
        };
        let expected = [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]];
        assert_eq!([63, 62, 61, 60, 59].map(on), expected);
    }
}
