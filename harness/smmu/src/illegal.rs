//! What makes a stream table entry ILLEGAL (IHI 0070, 5.2.2), for Non-secure streams.
//!
//! An SMMU that meets such an entry aborts the transaction and records C_BAD_STE.

use parallax_vmsa::regime::RegimeError;

use crate::regs::SmmuRegs;
use crate::ste::{Config, Ste};

/// One reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// Config asks for stage 1, which is not implemented.
    #[error("Config={0:#05b} uses stage 1, which IDR0.S1P says is not there")]
    NoStage1(u8),
    /// Config asks for stage 2, which is not implemented.
    #[error("Config={0:#05b} uses stage 2, which IDR0.S2P says is not there")]
    NoStage2(u8),
    /// S2AA64 selects a table format that is not implemented: AArch32 in practice.
    #[error("S2AA64={0} selects a table format that IDR0.TTF does not offer")]
    TableFormat(bool),
    /// S2T0SZ, S2SL0, S2TG, S2TTB or S2ENDI is wrong.
    #[error("stage 2: {0}")]
    Stage2(RegimeError),
    /// S2T0SZ is outside the range that the SMMU offers.
    #[error("S2T0SZ={t0sz} is outside {min}..={max}")]
    InputSize {
        /// S2T0SZ.
        t0sz: u8,
        /// Smallest value.
        min: u8,
        /// Largest value.
        max: u8,
    },
    /// S2TG selects a granule that is not implemented.
    #[error("S2TG={0:#04b} selects a granule that IDR5 does not offer")]
    Granule(u8),
    /// S2ENDI selects an endianness that is not implemented.
    #[error("S2ENDI={0} selects an endianness that IDR0.TTENDIAN does not offer")]
    Endianness(bool),
    /// S2VMID has more than 8 bits, and IDR0.VMID16 is 0.
    #[error("S2VMID={0:#06x} has more than 8 bits")]
    Vmid(u16),
    /// S2HA or S2HD is set without IDR0.HTTU.
    #[error("S2HA={ha} S2HD={hd} go beyond IDR0.HTTU={httu}")]
    Httu {
        /// S2HA.
        ha: bool,
        /// S2HD.
        hd: bool,
        /// IDR0.HTTU.
        httu: u8,
    },
    /// S2S does not go with the stall model.
    #[error("S2S={s2s} does not go with IDR0.STALL_MODEL={model}")]
    Stall {
        /// S2S.
        s2s: bool,
        /// IDR0.STALL_MODEL.
        model: u8,
    },
    /// S1STALLD is set and the stall model is not configurable.
    #[error("S1STALLD=1 does not go with IDR0.STALL_MODEL={0}")]
    S1Stalld(u8),
    /// EATS does not go with Config and S2S.
    #[error("EATS={0} does not go with the rest of the entry")]
    Eats(u8),
    /// STRW is reserved.
    #[error("STRW={0:#04b} is reserved")]
    Strw(u8),
    /// S1CDMax exceeds IDR1.SSIDSIZE.
    #[error("S1CDMax={max} exceeds IDR1.SSIDSIZE={ssidsize}")]
    S1CdMax {
        /// S1CDMax.
        max: u8,
        /// IDR1.SSIDSIZE.
        ssidsize: u8,
    },
    /// S1Fmt asks for a two-level CD table, and IDR0.CD2L is 0.
    #[error("S1Fmt={0:#04b} asks for a two-level CD table")]
    S1Fmt(u8),
    /// S1ContextPtr is beyond the output address size.
    #[error("S1ContextPtr={0:#x} is beyond the output address size")]
    S1ContextPtr(u64),
}

/// Every reason for which `ste` is ILLEGAL on an SMMU with registers `regs`; none for V = 0, where no field counts.
#[must_use]
pub fn illegal(ste: &Ste, regs: &SmmuRegs) -> Vec<Illegal> {
    if !ste.v() || ste.config() == Config::Abort {
        return Vec::new();
    }
    let mut found = Vec::new();
    common(ste, regs, &mut found);
    if ste.config().stage1() {
        stage1(ste, regs, &mut found);
    }
    if ste.config().stage2() {
        stage2(ste, regs, &mut found);
    }
    found
}

fn common(ste: &Ste, regs: &SmmuRegs, found: &mut Vec<Illegal>) {
    let (idr0, config) = (&regs.idr0, ste.config());
    let mut check = |wrong: bool, why| found.extend(wrong.then_some(why));
    check(config.stage1() && !idr0.s1p(), Illegal::NoStage1(ste.config_bits()));
    check(config.stage2() && !idr0.s2p(), Illegal::NoStage2(ste.config_bits()));
    let uses_strw = idr0.s1p() && idr0.hyp() && config == Config::Stage1;
    check(uses_strw && ste.strw() & 1 == 1, Illegal::Strw(ste.strw()));
    let bad_ats = match ste.eats() {
        0b10 => config != Config::Nested || ste.s2s() || idr0.ns1ats(),
        0b01 => config.stage2() && ste.s2s(),
        0b11 => regs.idr3.dpt() && ((uses_strw && ste.strw() != 0) || (config.stage2() && ste.s2s())),
        _ => false,
    };
    check(idr0.ats() && config != Config::Bypass && bad_ats, Illegal::Eats(ste.eats()));
    let has_vmid =
        idr0.s2p() && (config.stage2() || (config == Config::Stage1 && (!uses_strw || ste.strw() == 0)));
    check(has_vmid && !idr0.vmid16() && ste.s2vmid() > 0xff, Illegal::Vmid(ste.s2vmid()));
}

fn stage1(ste: &Ste, regs: &SmmuRegs, found: &mut Vec<Illegal>) {
    let ssidsize = regs.idr1.ssidsize();
    let mut check = |wrong: bool, why| found.extend(wrong.then_some(why));
    let model = regs.idr0.stall_model();
    check(ste.s1stalld() && model != 0, Illegal::S1Stalld(model));
    let max = ste.s1cdmax();
    check(ssidsize != 0 && max > ssidsize, Illegal::S1CdMax { max, ssidsize });
    let two_level = matches!(ste.s1fmt(), 0b01 | 0b10);
    check(ssidsize != 0 && max != 0 && !regs.idr0.cd2l() && two_level, Illegal::S1Fmt(ste.s1fmt()));
    let pointer = ste.s1_context_ptr();
    check(pointer >> regs.idr5.oas_bits() != 0, Illegal::S1ContextPtr(pointer));
}

fn stage2(ste: &Ste, regs: &SmmuRegs, found: &mut Vec<Illegal>) {
    let (idr0, idr5) = (&regs.idr0, &regs.idr5);
    let mut check = |wrong: bool, why| found.extend(wrong.then_some(why));
    let format = if ste.s2aa64() { 0b10 } else { 0b01 };
    check(idr0.ttf() & format == 0, Illegal::TableFormat(ste.s2aa64()));
    let stall = match idr0.stall_model() {
        0b01 => ste.s2s(),
        0b10 => !ste.s2s(),
        _ => false,
    };
    check(stall, Illegal::Stall { s2s: ste.s2s(), model: idr0.stall_model() });
    let (ha, hd, httu) = (ste.s2ha(), ste.s2hd(), idr0.httu());
    let beyond = match httu {
        0 => ha || hd,
        1 => hd,
        _ => false,
    };
    check(beyond, Illegal::Httu { ha, hd, httu });
    let granule = match ste.s2tg() {
        0b00 => idr5.gran4k(),
        0b01 => idr5.gran64k(),
        0b10 => idr5.gran16k(),
        _ => false,
    };
    check(!granule, Illegal::Granule(ste.s2tg()));
    let endianness = match idr0.ttendian() {
        0b10 => ste.s2endi(),
        0b11 => !ste.s2endi(),
        _ => false,
    };
    check(endianness, Illegal::Endianness(ste.s2endi()));
    let (t0sz, max) = (ste.s2t0sz(), if regs.idr3.stt() { 48 } else { 39 });
    // Input addresses are as large as output addresses, but at least 40 bits where AArch32 tables are offered.
    let ias = if idr0.ttf() & 0b01 != 0 { idr5.oas_bits().max(40) } else { idr5.oas_bits() };
    let min = (64 - ias).max(16) as u8;
    check(ste.s2aa64() && !(min..=max).contains(&t0sz), Illegal::InputSize { t0sz, min, max });
    let decoded = ste.stage2(idr5).err();
    // The granule, the endianness and the input size have their own checks above; the others are decoded there.
    let rest = decoded.filter(|why| {
        !matches!(why, RegimeError::Granule(_) | RegimeError::BigEndian | RegimeError::InputSize(_))
    });
    found.extend(rest.filter(|_| ste.s2aa64()).map(Illegal::Stage2));
}
