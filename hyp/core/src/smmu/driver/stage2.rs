//! A stage-2 table as stream table entries describe it (IHI 0070, 5.2: S2T0SZ, S2SL0, S2PS, S2TTB).

use super::{error::SmmuError, probe::Features, regs::ADDRESS_BITS, ste::S1STALLD};
use crate::addr::{PAGE_SHIFT, PhysAddr};

/// Index bits of one level with 4 KiB granule.
const LEVEL_BITS: u32 = 9;
/// Up to 16 root tables can lie side by side.
const CONCATENATION_BITS: u32 = 4;

/// A stage-2 table with 4 KiB granule that an SMMU can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage2 {
    pub(super) root: PhysAddr,
    pub(super) t0sz: u64,
    pub(super) sl0: u64,
    pub(super) ps: u64,
    /// What keeps a stage 1 over it from stalling: S1STALLD or nothing.
    pub(super) no_stall: u64,
}

impl Stage2 {
    /// The table at `root` that takes addresses of `input_bits` bits from `start_level` (0 to 2) on, and gives
    /// addresses of `output_bits` bits. Concatenated roots follow from these.
    ///
    /// # Errors
    /// The SMMU's addresses are smaller, a walk cannot start at that level, or `root` is not aligned to the size
    /// of the root tables.
    pub fn new(
        features: &Features,
        root: PhysAddr,
        input_bits: u32,
        start_level: u32,
        output_bits: u32,
    ) -> Result<Self, SmmuError> {
        if input_bits > features.input_bits {
            return Err(SmmuError::Bits {
                what: "input address",
                asked: input_bits,
                max: features.input_bits,
            });
        }
        let ps = ADDRESS_BITS.iter().position(|&bits| bits == output_bits);
        let ps = ps.filter(|_| output_bits <= features.output_bits).ok_or(SmmuError::Bits {
            what: "output address",
            asked: output_bits,
            max: features.output_bits,
        })?;
        let wrong_level = SmmuError::StartLevel { bits: input_bits, level: start_level };
        let below = 3_u32.checked_sub(start_level).filter(|&levels| levels > 0).ok_or(wrong_level)?;
        let root_bits = input_bits.checked_sub(PAGE_SHIFT + LEVEL_BITS * below).ok_or(wrong_level)?;
        if root_bits == 0 || root_bits > LEVEL_BITS + CONCATENATION_BITS {
            return Err(wrong_level);
        }
        let align = (8_u64 << root_bits).max(64);
        if !root.is_aligned(align) {
            return Err(SmmuError::Misaligned { what: "the stage-2 root", pa: root, align });
        }
        let no_stall = if features.stalls { S1STALLD } else { 0 };
        let (t0sz, sl0) = (u64::from(64 - input_bits), u64::from(below - 1));
        Ok(Self { root, t0sz, sl0, ps: ps as u64, no_stall })
    }
}
