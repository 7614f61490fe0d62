//! Registers of QEMU's SMMUv3 model, to be changed by each test.

use parallax_smmu::{OFFSETS, RawRegs, SmmuRegs};

/// Offset of IDR0.
pub(crate) const IDR0: u32 = 0x00;
/// Offset of STRTAB_BASE.
pub(crate) const STRTAB_BASE: u32 = 0x80;
/// Offset of STRTAB_BASE_CFG.
pub(crate) const STRTAB_BASE_CFG: u32 = 0x88;

/// The identification registers of QEMU's model; everything else 0.
pub(crate) fn raw() -> RawRegs {
    let mut raw = RawRegs(OFFSETS.iter().map(|offset| (*offset, 0)).collect());
    raw.0.extend([(IDR0, 0x0d44_101b), (0x04, 0x0273_0010), (0x0c, 0x1414), (0x14, 0x74)]);
    raw
}

/// The same with some registers set.
pub(crate) fn regs(set: &[(u32, u32)]) -> SmmuRegs {
    let mut raw = raw();
    raw.0.extend(set.iter().copied());
    SmmuRegs::decode(&raw).expect("complete")
}
