//! The registers of the SMMUv3 that the host sees: where they are, and which bits they have (docs/viommu.md; IHI 0070, 6.3).

/// A register, or several that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Register {
    /// CR0.
    Cr0,
    /// CR0ACK.
    Cr0Ack,
    /// GERROR.
    Gerror,
    /// GERRORN.
    Gerrorn,
    /// CMDQ_BASE.
    CmdqBase,
    /// CMDQ_PROD.
    CmdqProd,
    /// CMDQ_CONS.
    CmdqCons,
    /// EVENTQ_PROD, EVENTQ_CONS.
    EventqIndex,
    /// One that always reads as this.
    Fixed(u64),
    /// One that keeps what is written to it.
    Kept(Kept),
    /// One whose value is the hardware's, or nothing that memory depends on.
    Other,
}

/// A register that keeps what is written to it while none of `guard` is set in CR0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Its place among those.
    pub(super) place: usize,
    /// The bits that it has.
    pub(super) bits: u64,
    pub(super) guard: u64,
}

/// How many there are.
pub(super) const KEPT: usize = 5;
/// PTM and RECINVSID are kept.
pub(super) const CR2: Kept = Kept { place: 0, bits: 6, guard: SMMUEN };
/// RA or WA, and ADDR\[51:6\].
pub(super) const STRTAB_BASE: Kept = Kept { place: 1, bits: 0x400f_ffff_ffff_ffc0, guard: SMMUEN };
/// FMT, SPLIT, LOG2SIZE.
pub(super) const STRTAB_BASE_CFG: Kept = Kept { place: 2, bits: 0x3_07ff, guard: SMMUEN };
/// As [`QUEUE_BASE`] says.
pub(super) const EVENTQ_BASE: Kept = Kept { place: 3, bits: QUEUE_BASE, guard: EVENTQEN };
/// GERROR_IRQEN, EVENTQ_IRQEN.
const IRQ_CTRL: Kept = Kept { place: 4, bits: 0b101, guard: 0 };

/// Offset, bytes and register. What is not here reads as zero.
pub(super) const REGISTERS: [(u64, u64, Register); 28] = [
    (0x0, 4, Register::Other),
    (0x4, 4, Register::Other),
    (0xc, 4, Register::Other),
    (0x14, 4, Register::Other),
    (0x18, 4, Register::Other),
    (0x20, 4, Register::Cr0),
    (0x24, 4, Register::Cr0Ack),
    // Tables and queues are write-back, inner shareable.
    (0x28, 4, Register::Fixed(0xd75)),
    (0x2c, 4, Register::Kept(CR2)),
    // ABORT.
    (0x44, 4, Register::Fixed(1 << 20)),
    (0x50, 4, Register::Kept(IRQ_CTRL)),
    (0x54, 4, Register::Other),
    (0x60, 4, Register::Gerror),
    (0x64, 4, Register::Gerrorn),
    // There are no MSIs.
    (0x68, 8, Register::Fixed(0)),
    (0x70, 4, Register::Fixed(0)),
    (0x74, 4, Register::Fixed(0)),
    (0x80, 8, Register::Kept(STRTAB_BASE)),
    (0x88, 4, Register::Kept(STRTAB_BASE_CFG)),
    (0x90, 8, Register::CmdqBase),
    (0x98, 4, Register::CmdqProd),
    (0x9c, 4, Register::CmdqCons),
    (0xa0, 8, Register::Kept(EVENTQ_BASE)),
    (0xb0, 8, Register::Fixed(0)),
    (0xb8, 4, Register::Fixed(0)),
    (0xbc, 4, Register::Fixed(0)),
    (0x1_00a8, 4, Register::EventqIndex),
    (0x1_00ac, 4, Register::EventqIndex),
];

/// RA or WA, ADDR\[51:5\], LOG2SIZE.
pub(super) const QUEUE_BASE: u64 = 0x400f_ffff_ffff_ffff;
/// The index of a queue with its wrap bit.
pub(super) const INDEX: u64 = 0xf_ffff;
/// CMDQ_CONS.ERR of a command that is not there.
pub(super) const CERROR_ILL: u64 = 1 << 24;
/// CR2: what comes from a stream without an entry is recorded.
pub(super) const RECINVSID: u64 = 1 << 1;
/// GERROR and GERRORN: CMDQ_ERR, EVENTQ_ABT_ERR, SFM_ERR.
pub(super) const CMDQ_ERR: u64 = 1;
pub(super) const SFM_ERR: u64 = 1 << 8;
pub(super) const ERRORS: u64 = CMDQ_ERR | 1 << 2 | SFM_ERR;
/// CR0: SMMUEN, EVENTQEN, CMDQEN.
pub(super) const SMMUEN: u64 = 1;
pub(super) const EVENTQEN: u64 = 1 << 2;
pub(super) const CMDQEN: u64 = 1 << 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::Part;

    #[test]
    fn widths_are_the_architectures() {
        let at = |offset, size| {
            Part::at(&REGISTERS, offset, size).map(|part| (part.register, part.low, part.bits))
        };
        assert_eq!(at(0x80, 8), Some((Register::Kept(STRTAB_BASE), 0, 64)));
        assert_eq!(at(0x84, 4), Some((Register::Kept(STRTAB_BASE), 32, 32)));
        assert_eq!(at(0x20, 4), Some((Register::Cr0, 0, 32)));
        for (offset, size) in [(0x20, 8), (0x20, 2), (0x82, 4), (0x7c, 8), (0x84, 8), (0x22, 2), (0x1fffc, 4)]
        {
            assert_eq!(at(offset, size), None, "{offset:#x} {size}");
        }
    }
}
