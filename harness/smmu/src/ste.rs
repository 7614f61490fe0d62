//! Stream table entry (IHI 0070, 5.2): every field by its name, and the stage-2 translation it selects.

use parallax_addr::PhysAddr;
use parallax_vmsa::regime::{Regime, RegimeError, Stage2Fields};

use crate::fields::fields;
use crate::idr::Idr5;

/// A stream table entry: eight little-endian dwords.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ste(pub [u64; 8]);

/// What an entry does with the stream's transactions (5.2, Config).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Config {
    /// 0b000 and the reserved 0b0xx: abort, nothing is recorded.
    Abort,
    /// 0b100: both stages are bypassed.
    Bypass,
    /// 0b101: stage 1 only.
    Stage1,
    /// 0b110: stage 2 only.
    Stage2,
    /// 0b111: stage 1 over stage 2.
    Nested,
}

impl Config {
    /// Whether stage 1 translates.
    #[must_use]
    pub const fn stage1(self) -> bool {
        matches!(self, Self::Stage1 | Self::Nested)
    }

    /// Whether stage 2 translates.
    #[must_use]
    pub const fn stage2(self) -> bool {
        matches!(self, Self::Stage2 | Self::Nested)
    }
}

fields!(Ste {
    /// V: the entry is valid.
    v "V" 0[0:0] bool;
    /// Config, see [`Self::config`].
    config_bits "Config" 0[3:1] u8;
    /// S1Fmt: format of the CD table.
    s1fmt "S1Fmt" 0[5:4] u8;
    /// S1ContextPtr: address of the CD or CD table.
    s1_context_ptr "S1ContextPtr" 0[55:6] addr;
    /// S1CDMax: log2 of the number of CDs.
    s1cdmax "S1CDMax" 0[63:59] u8;
    /// S1DSS: transactions without a substream: 0 terminate, 1 bypass stage 1, 2 use CD 0.
    s1dss "S1DSS" 1[1:0] u8;
    /// S1CIR: inner cacheability of CD fetches.
    s1cir "S1CIR" 1[3:2] u8;
    /// S1COR: outer cacheability of CD fetches.
    s1cor "S1COR" 1[5:4] u8;
    /// S1CSH: shareability of CD fetches.
    s1csh "S1CSH" 1[7:6] u8;
    /// S2HWU59 to S2HWU62: page-based hardware attributes in use.
    s2hwu "S2HWU" 1[11:8] u8;
    /// DRE: destructive reads are allowed.
    dre "DRE" 1[12:12] bool;
    /// CONT: log2 of the number of adjacent identical entries.
    cont "CONT" 1[16:13] u8;
    /// DCP: directed cache prefetch is allowed.
    dcp "DCP" 1[17:17] bool;
    /// PPAR: PRI automatic responses carry a PASID.
    ppar "PPAR" 1[18:18] bool;
    /// MEV: events may be merged.
    mev "MEV" 1[19:19] bool;
    /// SW_RESERVED: for software.
    sw_reserved "SW_RESERVED" 1[23:20] u8;
    /// S1PIE: stage-1 permission indirection.
    s1pie "S1PIE" 1[24:24] bool;
    /// S2FWB: stage 2 uses FWB's encoding of MemAttr.
    s2fwb "S2FWB" 1[25:25] bool;
    /// S1MPAM: MPAM values come from the CD.
    s1mpam "S1MPAM" 1[26:26] bool;
    /// S1STALLD: stage 1 may not stall.
    s1stalld "S1STALLD" 1[27:27] bool;
    /// EATS: PCIe ATS: 0 off, 1 full, 2 split-stage, 3 full with DPT checks.
    eats "EATS" 1[29:28] u8;
    /// STRW: StreamWorld: 0 EL1, 2 EL2.
    strw "STRW" 1[31:30] u8;
    /// MemAttr: memory type, when MTCFG.
    mem_attr "MemAttr" 1[35:32] u8;
    /// MTCFG: the incoming memory type is replaced.
    mtcfg "MTCFG" 1[36:36] bool;
    /// ALLOCCFG: allocation hints.
    alloccfg "ALLOCCFG" 1[40:37] u8;
    /// SHCFG: 0 non-, 2 outer, 3 inner shareable, 1 as incoming.
    shcfg "SHCFG" 1[45:44] u8;
    /// NSCFG: Non-secure attribute (Secure streams).
    nscfg "NSCFG" 1[47:46] u8;
    /// PRIVCFG: 0 as incoming, 2 unprivileged, 3 privileged.
    privcfg "PRIVCFG" 1[49:48] u8;
    /// INSTCFG: 0 as incoming, 2 data, 3 instruction.
    instcfg "INSTCFG" 1[51:50] u8;
    /// S2VMID: VMID of translations.
    s2vmid "S2VMID" 2[15:0] u16;
    /// S2T0SZ: size of input addresses, as VTCR_EL2.T0SZ.
    s2t0sz "S2T0SZ" 2[37:32] u8;
    /// S2SL0: starting level, as VTCR_EL2.SL0.
    s2sl0 "S2SL0" 2[39:38] u8;
    /// S2IR0: inner cacheability of the walk.
    s2ir0 "S2IR0" 2[41:40] u8;
    /// S2OR0: outer cacheability of the walk.
    s2or0 "S2OR0" 2[43:42] u8;
    /// S2SH0: shareability of the walk.
    s2sh0 "S2SH0" 2[45:44] u8;
    /// S2TG: granule: 0 4 KiB, 1 64 KiB, 2 16 KiB.
    s2tg "S2TG" 2[47:46] u8;
    /// S2PS: output address size, as VTCR_EL2.PS.
    s2ps "S2PS" 2[50:48] u8;
    /// S2AA64: AArch64 tables.
    s2aa64 "S2AA64" 2[51:51] bool;
    /// S2ENDI: big-endian tables.
    s2endi "S2ENDI" 2[52:52] bool;
    /// S2AFFD: the Access flag never faults.
    s2affd "S2AFFD" 2[53:53] bool;
    /// S2PTW: walks to Device memory fault.
    s2ptw "S2PTW" 2[54:54] bool;
    /// S2HD: hardware manages dirty state.
    s2hd "S2HD" 2[55:55] bool;
    /// S2HA: hardware sets the Access flag.
    s2ha "S2HA" 2[56:56] bool;
    /// S2S: stage-2 faults stall.
    s2s "S2S" 2[57:57] bool;
    /// S2R: stage-2 faults are recorded.
    s2r "S2R" 2[58:58] bool;
    /// S2HAFT: hardware sets the Access flag in table descriptors.
    s2haft "S2HAFT" 2[59:59] bool;
    /// S2PIE: stage-2 permission indirection.
    s2pie "S2PIE" 2[60:60] bool;
    /// S2POE: stage-2 permission overlay.
    s2poe "S2POE" 2[61:61] bool;
    /// DPT_VMATCH: VMID matching of DPT checks.
    dpt_vmatch "DPT_VMATCH" 2[63:62] u8;
    /// S2NSW: Non-secure walks (Secure streams).
    s2nsw "S2NSW" 3[0:0] bool;
    /// S2NSA: Non-secure output (Secure streams).
    s2nsa "S2NSA" 3[1:1] bool;
    /// S2SL0_2: bit 2 of S2SL0.
    s2sl0_2 "S2SL0_2" 3[2:2] bool;
    /// S2DS: 52-bit addresses with the 4 KiB granule.
    s2ds "S2DS" 3[3:3] bool;
    /// S2TTB: address of the stage-2 root, before its alignment by size.
    s2ttb "S2TTB" 3[55:4] addr;
    /// S2SKL: skipped levels (128-bit descriptors).
    s2skl "S2SKL" 3[62:61] u8;
    /// PARTID: MPAM partition.
    partid "PARTID" 4[31:16] u16;
    /// S_S2T0SZ: as S2T0SZ for the Secure IPA space.
    s_s2t0sz "S_S2T0SZ" 4[37:32] u8;
    /// S_S2SL0: as S2SL0 for the Secure IPA space.
    s_s2sl0 "S_S2SL0" 4[39:38] u8;
    /// S_S2TG: as S2TG for the Secure IPA space.
    s_s2tg "S_S2TG" 4[47:46] u8;
    /// MECID: memory encryption context (Realm streams).
    mecid "MECID" 4[63:48] u16;
    /// PMG: MPAM monitoring group.
    pmg "PMG" 5[7:0] u8;
    /// MPAM_NS: Non-secure PARTID space.
    mpam_ns "MPAM_NS" 5[8:8] bool;
    /// AssuredOnly: permission checks for assured translations.
    assured_only "AssuredOnly" 5[9:9] bool;
    /// TL0: TopLevel 0 check.
    tl0 "TL0" 5[10:10] bool;
    /// TL1: TopLevel 1 check.
    tl1 "TL1" 5[11:11] bool;
    /// VMSPtr: address of the virtual machine structure.
    vmsptr "VMSPtr" 5[55:12] addr;
    /// S2SW: Non-secure walks for the Secure IPA space.
    s2sw "S2SW" 6[0:0] bool;
    /// S2SA: Non-secure output for the Secure IPA space.
    s2sa "S2SA" 6[1:1] bool;
    /// S_S2SL0_2: bit 2 of S_S2SL0.
    s_s2sl0_2 "S_S2SL0_2" 6[2:2] bool;
    /// S_S2TTB: root for the Secure IPA space.
    s_s2ttb "S_S2TTB" 6[55:4] addr;
    /// S_S2SKL: skipped levels for the Secure IPA space.
    s_s2skl "S_S2SKL" 6[62:61] u8;
    /// S2POI0 to S2POI15: permission overlays.
    s2poi "S2POI" 7[63:0] u64;
});

impl Ste {
    /// Size of an entry in bytes.
    pub const SIZE: u64 = 64;

    /// An entry from its bytes in memory.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 64]) -> Self {
        let mut dwords = [0; 8];
        for (dword, chunk) in dwords.iter_mut().zip(bytes.as_chunks().0) {
            *dword = u64::from_le_bytes(*chunk);
        }
        Self(dwords)
    }

    /// Config.
    #[must_use]
    pub const fn config(&self) -> Config {
        match self.config_bits() {
            0b100 => Config::Bypass,
            0b101 => Config::Stage1,
            0b110 => Config::Stage2,
            0b111 => Config::Nested,
            _ => Config::Abort,
        }
    }

    /// Whether stage 2 translates the stream's transactions: V = 1 and Config = 0b11x.
    #[must_use]
    pub const fn uses_stage2(&self) -> bool {
        self.v() && self.config().stage2()
    }

    /// The stage-2 translation, `None` when the entry uses none. The root is aligned to its size and the output
    /// size bounded by IDR5.OAS, as the SMMU does both.
    ///
    /// # Errors
    /// [`RegimeError`] for fields that make the entry ILLEGAL or that this project does not decode.
    pub fn stage2(&self, idr5: &Idr5) -> Result<Option<Regime>, RegimeError> {
        if !self.uses_stage2() {
            return Ok(None);
        }
        if self.s2endi() {
            return Err(RegimeError::BigEndian);
        }
        if self.s2ds() {
            return Err(RegimeError::Ds);
        }
        let fields = Stage2Fields {
            root: PhysAddr::new(self.s2ttb()),
            t0sz: self.s2t0sz(),
            sl0: self.s2sl0(),
            tg0: self.s2tg(),
            // The reserved 0b111 behaves as 52 bits, and the OAS bounds that.
            ps: self.s2ps().min(0b110),
            oa_limit: idr5.oas_bits(),
            lpa2: None,
            ha: self.s2ha() || self.s2affd(),
            fwb: self.s2fwb(),
            vmid: self.s2vmid(),
        };
        fields.regime().map(Some)
    }
}
