//! Values of registers, where they are, and how they follow what is written to them.

use serde::{Deserialize, Serialize};

use crate::its::Baser;

/// Number of GITS_BASER<n>.
pub const BASERS: usize = 8;
/// Most redistributors that are looked at.
pub const MAX_REDISTRIBUTORS: usize = 512;

/// Offsets in the frame of an ITS's registers (IHI 0069, 12.18).
pub mod gits {
    /// GITS_CTLR, 4 bytes.
    pub const CTLR: u64 = 0x0;
    /// GITS_TYPER, 8 bytes.
    pub const TYPER: u64 = 0x8;
    /// GITS_CBASER, 8 bytes; GITS_CWRITER and GITS_CREADR are behind it.
    pub const CBASER: u64 = 0x80;
    /// GITS_CWRITER, 8 bytes.
    pub const CWRITER: u64 = 0x88;
    /// The offset of a command in GITS_CWRITER and GITS_CREADR.
    pub const OFFSET: u64 = 0xf_ffe0;
    /// GITS_CREADR, 8 bytes.
    pub const CREADR: u64 = 0x90;
    /// GITS_BASER0, 8 bytes; the others are behind it.
    pub const BASER: u64 = 0x100;
    /// Bytes of the frame.
    pub const FRAME: u64 = 0x1_0000;
}

/// Offsets in the RD_base frame of a redistributor (IHI 0069, 12.10).
pub mod gicr {
    /// GICR_CTLR, 4 bytes.
    pub const CTLR: u64 = 0x0;
    /// GICR_PROPBASER, 8 bytes; GICR_PENDBASER is behind it.
    pub const PROPBASER: u64 = 0x70;
    /// GICR_PENDBASER, 8 bytes.
    pub const PENDBASER: u64 = 0x78;
    /// Bytes of the frame.
    pub const FRAME: u64 = 0x1_0000;
    /// Bytes from one redistributor's frames to the next one's, where there are no virtual LPIs.
    pub const STRIDE: u64 = 0x2_0000;
}

/// GICD_TYPER, in the distributor's frame, 4 bytes.
pub const GICD_TYPER: u64 = 0x4;

/// Registers of an ITS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawIts {
    /// Physical address of the frame.
    pub base: u64,
    /// GITS_CTLR.
    pub ctlr: u32,
    /// GITS_TYPER.
    pub typer: u64,
    /// GITS_CBASER.
    pub cbaser: u64,
    /// GITS_CWRITER.
    pub cwriter: u64,
    /// GITS_CREADR.
    pub creadr: u64,
    /// GITS_BASER<n>.
    pub basers: [u64; BASERS],
}

/// Registers of a redistributor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRedistributor {
    /// Physical address of the RD_base frame.
    pub base: u64,
    /// GICR_CTLR.
    pub ctlr: u32,
    /// GICR_PROPBASER.
    pub propbaser: u64,
    /// GICR_PENDBASER.
    pub pendbaser: u64,
}

/// Registers of a GIC that name memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawGic {
    /// GICD_TYPER.
    pub gicd_typer: u32,
    /// The ITS, where there is one.
    pub its: Option<RawIts>,
    /// The redistributors, one for each CPU.
    pub redistributors: Vec<RawRedistributor>,
}

impl RawGic {
    /// Does what a write of `value`, of 4 or 8 bytes, to physical address `pa` does to the registers; a `written` that is
    /// false is a read that gave `value`.
    pub fn follow(&mut self, pa: u64, size: u8, value: u64, written: bool) {
        let within = |base: u64, frame: u64| pa.checked_sub(base).filter(|offset| *offset < frame);
        if let Some(its) = &mut self.its
            && let Some(offset) = within(its.base, gits::FRAME)
        {
            return its.follow(offset, size, value, written);
        }
        for redistributor in self.redistributors.iter_mut().take(MAX_REDISTRIBUTORS) {
            if let Some(offset) = within(redistributor.base, gicr::FRAME) {
                return redistributor.follow(offset, size, value, written);
            }
        }
    }

    /// The same without what moves by itself: how far commands are, and whether something is under way.
    #[must_use]
    pub fn steady(&self) -> Self {
        let mut steady = self.clone();
        if let Some(its) = &mut steady.its {
            its.ctlr &= 1;
            (its.cwriter, its.creadr) = (0, 0);
        }
        for redistributor in &mut steady.redistributors {
            redistributor.ctlr &= 1;
        }
        steady
    }
}

/// `value` of `size` bytes put into `register`, `offset` bytes (0 or 4) from its start.
const fn put(register: u64, offset: u64, size: u8, value: u64) -> u64 {
    let low = value & 0xffff_ffff;
    match (size, offset) {
        (8, _) => value,
        (4, 0) => register & !0xffff_ffff | low,
        (4, 4) => register & 0xffff_ffff | low << 32,
        _ => register,
    }
}

impl RawIts {
    fn follow(&mut self, offset: u64, size: u8, value: u64, written: bool) {
        const END: u64 = gits::BASER + 8 * BASERS as u64;
        let (register, part) = (offset & !7, offset & 7);
        match register {
            gits::CTLR if part == 0 => self.ctlr = value as u32,
            gits::CBASER => {
                self.cbaser = put(self.cbaser, part, size, value);
                if written {
                    self.creadr = 0;
                }
            }
            gits::CWRITER => self.cwriter = put(self.cwriter, part, size, value),
            gits::CREADR if !written => self.creadr = put(self.creadr, part, size, value),
            gits::BASER..END => {
                let index = ((register - gits::BASER) / 8) as usize;
                self.basers[index] = baser(self.basers[index], put(self.basers[index], part, size, value));
            }
            _ => (),
        }
    }
}

/// What GITS_BASER<n> holds after `value` is written to it: Type and Entry_Size stay, and a register without a table stays 0.
const fn baser(old: u64, value: u64) -> u64 {
    const FIXED: u64 = 7 << 56 | 0x1f << 48;
    if Baser(old).table_type() == 0 { old } else { old & FIXED | value & !FIXED }
}

impl RawRedistributor {
    fn follow(&mut self, offset: u64, size: u8, value: u64, written: bool) {
        let (register, part) = (offset & !7, offset & 7);
        match register {
            // What else is there cannot be written, or says what is under way.
            gicr::CTLR if part == 0 && written => self.ctlr = self.ctlr & !1 | value as u32 & 1,
            gicr::CTLR if part == 0 => self.ctlr = value as u32,
            gicr::PROPBASER => self.propbaser = put(self.propbaser, part, size, value),
            gicr::PENDBASER => self.pendbaser = put(self.pendbaser, part, size, value),
            _ => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ITS: u64 = 0x0808_0000;
    const GICR: u64 = 0x080a_0000;

    fn gic() -> RawGic {
        let mut its = RawIts { base: ITS, creadr: 0x40, ..RawIts::default() };
        its.basers[0] = 1 << 56 | 7 << 48;
        let redistributor =
            |n| RawRedistributor { base: GICR + n * gicr::STRIDE, ctlr: 2, ..RawRedistributor::default() };
        RawGic { gicd_typer: 0, its: Some(its), redistributors: vec![redistributor(0), redistributor(1)] }
    }

    #[test]
    fn registers_follow_what_is_written_to_them() {
        let mut gic = gic();
        gic.follow(ITS, 4, 1, true);
        gic.follow(ITS + gits::CBASER, 8, 1 << 63 | 0x4601_0000, true);
        gic.follow(ITS + gits::BASER, 8, u64::MAX, true);
        gic.follow(ITS + gits::BASER + 8, 8, u64::MAX, true);
        gic.follow(GICR + gicr::STRIDE + gicr::PENDBASER, 4, 0x4602_0000, true);
        gic.follow(GICR + gicr::STRIDE + gicr::PENDBASER + 4, 4, 1, true);
        gic.follow(GICR + gicr::STRIDE, 4, 1, true);
        let its = gic.its.unwrap();
        assert_eq!((its.ctlr, its.cbaser, its.creadr), (1, 1 << 63 | 0x4601_0000, 0));
        assert_eq!((Baser(its.basers[0]).table_type(), Baser(its.basers[0]).entry_bytes()), (1, 8));
        assert!(Baser(its.basers[0]).valid());
        assert_eq!(its.basers[1], 0, "there is no such table");
        assert_eq!(gic.redistributors[0], self::gic().redistributors[0]);
        assert_eq!((gic.redistributors[1].ctlr, gic.redistributors[1].pendbaser), (3, 0x1_4602_0000));
    }

    #[test]
    fn what_moves_by_itself_is_left_out() {
        let mut moved = gic();
        moved.its.as_mut().unwrap().creadr = 0x60;
        moved.redistributors[0].ctlr |= 8;
        assert_ne!(moved, gic());
        assert_eq!(moved.steady(), gic().steady());
        moved.redistributors[0].ctlr |= 1;
        assert_ne!(moved.steady(), gic().steady());
    }

    proptest! {
        #[test]
        fn any_access_is_taken(pa in ITS - 8..GICR + 0x5_0000, size in 0_u8..=16, value: u64, written: bool) {
            gic().follow(pa, size, value, written);
        }
    }
}
