//! What an SMMU can do, out of its identification registers.

use super::{
    error::SmmuError,
    regs::{
        ADDRESS_BITS, IDR0, IDR0_ST_LEVEL, IDR0_STALL_MODEL, IDR0_TTF, IDR1, IDR1_CMDQS, IDR1_EVENTQS,
        IDR1_PRESET, IDR1_SIDSIZE, IDR3, IDR3_BBML, IDR3_RIL, IDR5, IDR5_GRAN4K, IDR5_OAS, IIDR,
        IIDR_IMPLEMENTER, IIDR_PRODUCT, IIDR_VARIANT, Idr0,
    },
};
use crate::hw::Mmio;

/// An SMMU's features, as far as the hypervisor uses them. One that exists has stage 2, AArch64 tables, the 4 KiB
/// granule and coherent walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// Two-level stream tables (IDR0.ST_LEVEL).
    pub two_level: bool,
    /// Stage 1 over stage 2 (IDR0.S1P, and no erratum).
    pub stage1: bool,
    /// Devices may keep translations (IDR0.ATS).
    pub ats: bool,
    /// EL2 StreamWorlds (IDR0.HYP): entries that TLBI_EL2_ALL invalidates.
    pub hyp: bool,
    /// Bits of a StreamID, 0 to 32 (IDR1.SIDSIZE).
    pub sid_bits: u32,
    /// log2 of the most entries of the command queue (IDR1.CMDQS).
    pub cmdq_log2: u32,
    /// log2 of the most entries of the event queue (IDR1.EVENTQS).
    pub evtq_log2: u32,
    /// Faults of stage 1 may stall a transaction, unless S1STALLD says no (IDR0.STALL_MODEL = 0b00).
    pub stalls: bool,
    /// Range invalidation (IDR3.RIL).
    pub range_invalidation: bool,
    /// The block size of a live mapping may change in place (IDR3.BBML = 2).
    pub bbml2: bool,
    /// Bits of a stage-2 input address with 4 KiB granule, at most 48.
    pub input_bits: u32,
    /// Bits of an output address with 4 KiB granule, at most 48.
    pub output_bits: u32,
}

#[cfg(test)]
impl Features {
    /// An SMMU with everything, for tests.
    pub(crate) const SAMPLE: Self = Self {
        two_level: true,
        stage1: true,
        ats: false,
        hyp: false,
        sid_bits: 16,
        cmdq_log2: 8,
        evtq_log2: 8,
        stalls: false,
        range_invalidation: true,
        bbml2: true,
        input_bits: 44,
        output_bits: 44,
    };
}

/// With the 4 KiB granule, addresses above this many bits need a format that is not used here (DS).
const GRANULE_4K_BITS: u32 = 48;

/// Whether stage 1 must not be used over stage 2: Arm's errata 1209401 (MMU-600 before r2p0), 2268618 and 2812531 (MMU-700).
const fn has_broken_nesting(iidr: u32) -> bool {
    const ARM: u32 = 0x43b;
    match IIDR_PRODUCT.of(iidr) {
        0x483 => IIDR_IMPLEMENTER.of(iidr) == ARM && IIDR_VARIANT.of(iidr) < 2,
        0x487 => IIDR_IMPLEMENTER.of(iidr) == ARM,
        _ => false,
    }
}

impl Features {
    /// Reads the identification registers.
    ///
    /// # Errors
    /// The SMMU lacks something that the hypervisor cannot do without; the error holds the register that says so.
    pub fn read(regs: &impl Mmio) -> Result<Self, SmmuError> {
        let idr0 = Idr0::from_bits_retain(regs.read32(IDR0));
        let idr1 = regs.read32(IDR1);
        let idr3 = regs.read32(IDR3);
        let idr5 = regs.read32(IDR5);

        let ttf = IDR0_TTF.of(idr0.bits());
        let need = |there: bool, what, register, value| {
            if there { Ok(()) } else { Err(SmmuError::Unsupported { what, register, value }) }
        };
        need(idr0.contains(Idr0::S2P), "stage 2", "IDR0", idr0.bits())?;
        need(ttf & 0b10 != 0, "AArch64 tables", "IDR0", idr0.bits())?;
        need(idr0.contains(Idr0::COHACC), "coherent table walks", "IDR0", idr0.bits())?;
        let stall_model = IDR0_STALL_MODEL.of(idr0.bits());
        need(stall_model & 0b10 == 0, "faults that do not stall", "IDR0", idr0.bits())?;
        need(IDR1_PRESET.of(idr1) == 0, "tables and queues of free choice", "IDR1", idr1)?;
        need(IDR5_GRAN4K.of(idr5) != 0, "4 KiB granule", "IDR5", idr5)?;
        let oas = IDR5_OAS.of(idr5) as usize;
        need(oas < ADDRESS_BITS.len(), "known output address size", "IDR5", idr5)?;
        let oas = ADDRESS_BITS[oas];
        // 3.4: AArch32 tables bring input addresses of 40 bits with them.
        let ias = if ttf & 0b01 != 0 { oas.max(40) } else { oas };
        Ok(Self {
            two_level: IDR0_ST_LEVEL.of(idr0.bits()) == 1,
            stage1: idr0.contains(Idr0::S1P) && !has_broken_nesting(regs.read32(IIDR)),
            ats: idr0.contains(Idr0::ATS),
            hyp: idr0.contains(Idr0::HYP),
            sid_bits: IDR1_SIDSIZE.of(idr1),
            cmdq_log2: IDR1_CMDQS.of(idr1),
            evtq_log2: IDR1_EVENTQS.of(idr1),
            stalls: stall_model == 0,
            range_invalidation: IDR3_RIL.of(idr3) != 0,
            bbml2: IDR3_BBML.of(idr3) == 2,
            input_bits: ias.min(GRANULE_4K_BITS),
            output_bits: oas.min(GRANULE_4K_BITS),
        })
    }
}
