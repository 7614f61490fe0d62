//! A translation regime: where a walk starts, how large its addresses are, what controls its attributes.
//!
//! [`Regime::stage2`] and [`Regime::el2_stage1`] make one from system registers; [`Stage2Fields`] from any source
//! that uses the same fields, such as a stream table entry.

use parallax_addr::{InputAddr, PhysAddr};

use crate::desc::{Form, Level};
use crate::regs::{Hcr, Sctlr, SysRegs, Ttbr};
use crate::tcr::{Tcr, Vtcr, output_bits, output_bits_lpa2};

/// Controls of a stage-1 regime that matter after the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stage1Controls {
    /// MAIR_ELx.
    pub mair: u64,
    /// TCR_ELx.HPD: table descriptors' permissions are ignored.
    pub hpd: bool,
    /// SCTLR_ELx.WXN: writable means not executable.
    pub wxn: bool,
    /// HCR_EL2.E2H: EL0 and EL2 share the regime, each with permissions of its own.
    pub e2h: bool,
}

/// Controls of a stage-2 regime that matter after the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stage2Controls {
    /// HCR_EL2.FWB, or STE.S2FWB: the MemAttr encoding.
    pub fwb: bool,
    /// VMID.
    pub vmid: u16,
}

/// Which stage a regime is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Stage 1.
    One(Stage1Controls),
    /// Stage 2.
    Two(Stage2Controls),
}

/// A translation with the 4 KiB granule. Made by this module's functions, its fields are consistent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Regime {
    /// The stage and its controls.
    pub stage: Stage,
    /// Physical address of the root: one table, or up to 16 concatenated ones.
    pub root: PhysAddr,
    /// Level at which the walk starts.
    pub start: Level,
    /// Size of input addresses in bits.
    pub ia_bits: u32,
    /// Size of output addresses in bits.
    pub oa_bits: u32,
    /// See [`Form::lpa2`].
    pub lpa2: Option<u8>,
    /// Hardware sets the Access flag: an entry without it does not fault.
    pub hw_af: bool,
}

/// Registers that make no regime this crate can walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegimeError {
    /// TG0 selects 16 KiB or 64 KiB, or is reserved.
    #[error("granule TG0={0:#04b} is not 4 KiB")]
    Granule(u8),
    /// PS is reserved.
    #[error("output size PS={0:#05b} is reserved")]
    OutputSize(u8),
    /// T0SZ is outside 16 to 48, or with 52-bit addresses outside 12 to 48.
    #[error("T0SZ={0} is outside 16..=48")]
    InputSize(u8),
    /// SL0 is reserved, or names a level that cannot resolve an address of this size.
    #[error("starting level SL0={sl0} does not go with T0SZ={t0sz}")]
    StartLevel {
        /// SL0, with SL2 as bit 2.
        sl0: u8,
        /// T0SZ.
        t0sz: u8,
    },
    /// 52-bit addresses (DS = 1) of an SMMU are not decoded.
    #[error("52-bit addresses (DS=1) are not supported")]
    Ds,
    /// Tables are big-endian (SCTLR_EL2.EE = 1).
    #[error("translation tables are big-endian (SCTLR_EL2.EE=1)")]
    BigEndian,
    /// The root lies above the output address size.
    #[error("root {root:#014x} is above the output size of {oa_bits} bits")]
    RootAddressSize {
        /// The root's address.
        root: PhysAddr,
        /// Output address size in bits.
        oa_bits: u32,
    },
}

/// The fields that describe a stage-2 translation, as VTTBR_EL2 with VTCR_EL2 hold them and a stream table entry too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stage2Fields {
    /// Address of the root.
    pub root: PhysAddr,
    /// T0SZ.
    pub t0sz: u8,
    /// SL0, with SL2 as bit 2.
    pub sl0: u8,
    /// TG0: 0 is 4 KiB.
    pub tg0: u8,
    /// PS.
    pub ps: u8,
    /// Largest output address size of the implementation in bits.
    pub oa_limit: u32,
    /// With DS = 1, SH0; see [`Form::lpa2`].
    pub lpa2: Option<u8>,
    /// HA: hardware sets the Access flag.
    pub ha: bool,
    /// FWB.
    pub fwb: bool,
    /// VMID.
    pub vmid: u16,
}

impl Stage2Fields {
    /// The regime that the fields describe. Its root is aligned to the root's size.
    ///
    /// # Errors
    /// [`RegimeError`] for a reserved or inconsistent field.
    pub fn regime(self) -> Result<Regime, RegimeError> {
        if self.tg0 != 0 {
            return Err(RegimeError::Granule(self.tg0));
        }
        let ds = self.lpa2.is_some();
        let oa_bits = size(self.ps, ds).ok_or(RegimeError::OutputSize(self.ps))?.min(self.oa_limit);
        let ia_bits = input_bits(self.t0sz, ds)?;
        let wrong = RegimeError::StartLevel { sl0: self.sl0, t0sz: self.t0sz };
        let start = start_level(self.sl0, ds).filter(|start| resolves(*start, ia_bits)).ok_or(wrong)?;
        let stage = Stage::Two(Stage2Controls { fwb: self.fwb, vmid: self.vmid });
        Regime { stage, root: self.root, start, ia_bits, oa_bits, lpa2: self.lpa2, hw_af: self.ha }.checked()
    }
}

impl Regime {
    /// The EL1&0 stage-2 translation, `None` when it is off. Its root is aligned to the root's size.
    ///
    /// # Errors
    /// [`RegimeError`] for a reserved or inconsistent field.
    pub fn stage2(regs: &SysRegs) -> Result<Option<Self>, RegimeError> {
        let hcr = Hcr(regs.hcr_el2);
        if !hcr.stage2_enabled() {
            return Ok(None);
        }
        if Sctlr(regs.sctlr_el2).ee() {
            return Err(RegimeError::BigEndian);
        }
        let (vtcr, vttbr) = (Vtcr::decode(regs.vtcr_el2), Ttbr(regs.vttbr_el2));
        let fields = Stage2Fields {
            root: root(vttbr, vtcr.ds),
            t0sz: vtcr.t0sz,
            sl0: vtcr.sl0,
            tg0: vtcr.tg0,
            ps: vtcr.ps,
            oa_limit: if vtcr.ds { 52 } else { 48 },
            lpa2: vtcr.ds.then_some(vtcr.sh0),
            ha: vtcr.ha,
            fwb: hcr.fwb(),
            vmid: if vtcr.vs { vttbr.id() } else { vttbr.id() & 0xff },
        };
        fields.regime().map(Some)
    }

    /// EL2's own stage 1, `None` when it is off. With E2H = 1 it is what TTBR0_EL2 translates: the lower range.
    ///
    /// # Errors
    /// [`RegimeError`] for a reserved or inconsistent field.
    pub fn el2_stage1(regs: &SysRegs) -> Result<Option<Self>, RegimeError> {
        let sctlr = Sctlr(regs.sctlr_el2);
        let e2h = Hcr(regs.hcr_el2).e2h();
        if !sctlr.m() {
            return Ok(None);
        }
        if sctlr.ee() {
            return Err(RegimeError::BigEndian);
        }
        let tcr = if e2h { Tcr::decode_e2h(regs.tcr_el2) } else { Tcr::decode(regs.tcr_el2) };
        if tcr.tg0 != 0 {
            return Err(RegimeError::Granule(tcr.tg0));
        }
        let oa_bits = size(tcr.ps, tcr.ds).ok_or(RegimeError::OutputSize(tcr.ps))?;
        let ia_bits = input_bits(tcr.t0sz, tcr.ds)?;
        let start = stage1_start(ia_bits).ok_or(RegimeError::InputSize(tcr.t0sz))?;
        let stage = Stage::One(Stage1Controls { mair: regs.mair_el2, hpd: tcr.hpd, wxn: sctlr.wxn(), e2h });
        let root = root(Ttbr(regs.ttbr0_el2), tcr.ds);
        let lpa2 = tcr.ds.then_some(tcr.sh0);
        Self { stage, root, start, ia_bits, oa_bits, lpa2, hw_af: tcr.ha }.checked().map(Some)
    }

    /// How its descriptors are read.
    #[must_use]
    pub const fn form(&self) -> Form {
        Form { oa_bits: self.oa_bits, lpa2: self.lpa2 }
    }

    /// Number of entries of the root, all concatenated tables together: 2 to 8192.
    #[must_use]
    pub const fn root_entries(&self) -> u64 {
        1 << (self.ia_bits - self.start.shift())
    }

    /// Number of concatenated tables at the root: 1 to 16.
    #[must_use]
    pub const fn root_tables(&self) -> u64 {
        self.root_entries().div_ceil(512)
    }

    /// First input address above the range that is translated.
    #[must_use]
    pub const fn ia_end(&self) -> InputAddr {
        InputAddr::new(1 << self.ia_bits)
    }

    /// Whether it is stage 2 with FWB's encoding of MemAttr.
    #[must_use]
    pub const fn fwb(&self) -> bool {
        matches!(self.stage, Stage::Two(Stage2Controls { fwb: true, .. }))
    }

    /// Size of the root, all concatenated tables together, in bytes.
    #[must_use]
    pub const fn root_size(&self) -> u64 {
        self.root_entries() * 8
    }

    /// Address bits below the root's size count as zero. An SMMU does that (IHI 0070, 5.2, S2TTB); a CPU may, and may use
    /// them to a corrupt address instead (DDI 0487, D24.2, VTTBR_EL2.BADDR).
    fn checked(mut self) -> Result<Self, RegimeError> {
        self.root = self.root.align_down(self.root_size());
        if self.root.get() >> self.oa_bits != 0 {
            return Err(RegimeError::RootAddressSize { root: self.root, oa_bits: self.oa_bits });
        }
        Ok(self)
    }
}

/// Output address size in bits, see [`output_bits`].
const fn size(ps: u8, ds: bool) -> Option<u32> {
    if ds { output_bits_lpa2(ps) } else { output_bits(ps) }
}

/// The root's address: with DS = 1 its bits 51:48 stand in bits 5:2.
const fn root(ttbr: Ttbr, ds: bool) -> PhysAddr {
    let low = ttbr.baddr();
    if ds { PhysAddr::new(low.get() & !0x3f | (low.get() >> 2 & 0xf) << 48) } else { low }
}

fn input_bits(t0sz: u8, ds: bool) -> Result<u32, RegimeError> {
    let least = if ds { 12 } else { 16 };
    if (least..=48).contains(&t0sz) { Ok(64 - u32::from(t0sz)) } else { Err(RegimeError::InputSize(t0sz)) }
}

/// The starting level of stage 2 that SL0, with SL2 as bit 2, names for the 4 KiB granule.
const fn start_level(sl0: u8, ds: bool) -> Option<Level> {
    match sl0 {
        0b00 => Level::new(2),
        0b01 => Level::new(1),
        0b10 => Level::new(0),
        0b11 => Level::new(3),
        0b100 if ds => Some(Level::FIRST),
        _ => None,
    }
}

/// Whether stage 2 may start at `start`: that level has at least one bit to resolve, and at most its own 9 and the
/// 4 of 16 concatenated tables.
const fn resolves(start: Level, ia_bits: u32) -> bool {
    ia_bits > start.shift() && ia_bits <= start.shift() + 13
}

/// The starting level of stage 1: the lowest whose single table resolves the whole address.
const fn stage1_start(ia_bits: u32) -> Option<Level> {
    match ia_bits {
        49..=52 => Some(Level::FIRST),
        40..=48 => Level::new(0),
        31..=39 => Level::new(1),
        22..=30 => Level::new(2),
        16..=21 => Level::new(3),
        _ => None,
    }
}
