//! The registers of the ITS and of a redistributor that the host sees: where they are, which bits they have, and what they hold
//! (docs/masters.md; IHI 0069, 12.11 and 12.19).

use parallax_addr::{PhysAddr, Span};

use crate::part::{Part, differs};
use crate::step::Wrong;

/// A register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Register {
    /// GITS_CTLR.
    Ctlr,
    /// GITS_CBASER.
    Cbaser,
    /// GITS_CWRITER.
    Cwriter,
    /// GITS_CREADR.
    Creadr,
    /// GITS_BASER0, of devices.
    Baser0,
    /// GITS_BASER1, of collections.
    Baser1,
    /// GICR_CTLR.
    Lpis,
    /// GICR_PROPBASER.
    Propbaser,
    /// GICR_PENDBASER.
    Pendbaser,
    /// One whose value is the hardware's.
    Other,
}

use Register::{Baser0, Baser1, Cbaser, Creadr, Ctlr, Cwriter, Lpis, Other, Pendbaser, Propbaser};

/// Offset, bytes and register of the ITS's. What is not here reads as zero.
pub(super) static OF_ITS: [(u64, u64, Register); 8] = [
    (0x0, 4, Ctlr),
    (0x4, 4, Other),
    (0x8, 8, Other),
    (0x80, 8, Cbaser),
    (0x88, 8, Cwriter),
    (0x90, 8, Creadr),
    (0x100, 8, Baser0),
    (0x108, 8, Baser1),
];
/// From here on the ITS's are identification registers.
pub(super) const IDENTIFICATION: u64 = 0xffd0;
/// The same of a redistributor. Of what is not here nothing is said.
pub(super) static OF_REDISTRIBUTOR: [(u64, u64, Register); 3] =
    [(0x0, 4, Lpis), (0x70, 8, Propbaser), (0x78, 8, Pendbaser)];

/// GITS_CTLR.Enabled, GITS_CWRITER.Retry, GITS_CREADR.Stalled and GICR_CTLR.EnableLPIs: bit 0 of each.
pub(super) const FLAG: u64 = 1;
/// GITS_CTLR.Quiescent.
pub(super) const QUIESCENT: u64 = 1 << 31;
/// Type, Entry_Size and Page_Size of GITS_BASER<n>: the hardware's, and where a reserved one counts as another.
const FIXED: u64 = 0x071f_0000_0000_0300;

impl Register {
    /// Its bits that the host's writes change, and those that may read as anything. All others read as zero.
    const fn bits(self) -> (u64, u64) {
        match self {
            Ctlr => (FLAG, QUIESCENT),
            Cbaser => (0xb8ef_ffff_ffff_fcff, 0),
            Cwriter => (0xf_ffe0, FLAG),
            Creadr => (0xf_ffe1, 0),
            Baser0 | Baser1 => (0xb8e0_ffff_ffff_fcff, FIXED),
            Lpis => (FLAG, !FLAG),
            Propbaser => (0x070f_ffff_ffff_ff9f, 0),
            Pendbaser => (0x070f_ffff_ffff_0f80, 0),
            Other => (0, u64::MAX),
        }
    }
}

/// A frame of registers.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) span: Span<PhysAddr>,
    /// Nothing is known of it.
    pub(super) lost: bool,
    /// What each register holds, as far as it is known.
    held: [Option<u64>; Other as usize + 1],
}

impl Frame {
    /// As it is at boot.
    pub(super) fn new(base: PhysAddr, size: u64) -> Self {
        Self { span: Span::new(base, size), lost: false, held: [Some(0); _] }
    }

    pub(super) const fn get(&self, register: Register) -> Option<u64> {
        self.held[register as usize]
    }

    pub(super) fn set(&mut self, register: Register, value: Option<u64>) {
        self.held[register as usize] = value.map(|value| value & register.bits().0);
    }

    /// `value` is written to `part`.
    pub(super) fn put(&mut self, part: Part<Register>, value: u64) {
        self.set(part.register, part.put(self.get(part.register), value));
    }

    /// It is off, and known again; its registers are not.
    pub(super) fn find(&mut self) {
        (self.lost, self.held) = (false, [None; _]);
        self.set(Ctlr, Some(0));
        self.set(Lpis, Some(0));
    }

    /// What is wrong with `value`, which was read from `part`.
    pub(super) fn read(&self, part: Part<Register>, value: u64) -> Option<Wrong> {
        let known = self.get(part.register).filter(|_| !self.lost)?;
        let open = part.register.bits().1;
        differs("vgic/register", (part.of(known), part.of(!open)), value)
    }
}
