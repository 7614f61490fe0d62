//! The ID registers that the host reads (Arm ARM, D24.2): it sees of the CPU what EL2 lets it have, and nothing that is not
//! known here.

/// A read of S3_0_C0_C`crm`_`op2` that HCR_EL2.TID3 traps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// 1 to 7.
    pub crm: u64,
    /// 0 to 7.
    pub op2: u64,
    /// The number of the general-purpose register; 31 for none.
    pub target: usize,
}

impl Access {
    /// Out of ESR_EL2 for a trapped MSR, MRS or system instruction (D24.2.40); `None` if it is something else.
    #[must_use]
    pub const fn decode(esr: u64) -> Option<Self> {
        const OP0_OP1_CRN_READ: u64 = 0b11 << 20 | 0b111 << 14 | 0xf << 10 | 1;
        let (crm, op2) = (esr >> 1 & 0xf, esr >> 17 & 0b111);
        if esr & OP0_OP1_CRN_READ == 0b11 << 20 | 1 && crm >= 1 && crm <= 7 {
            Some(Self { crm, op2, target: (esr >> 5 & 0x1f) as usize })
        } else {
            None
        }
    }
}

/// By CRm and op2: the first bits of the fields that the host gets, 4 bits each. A register that is not here reads as zero.
const SHOWN: [(u64, u64, &[u32]); 15] = [
    // ID_AA64PFR0_EL1: EL0 to EL3, FP, AdvSIMD, GIC, RAS, SVE, SEL2, AMU, DIT, CSV2, CSV3. Not: MPAM, RME.
    (4, 0, &[0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 44, 48, 56, 60]),
    // ID_AA64PFR1_EL1: BT, SSBS, MTE, SME, RNDR_trap, CSV2_frac, NMI, MTE_frac. Not: RAS_frac, MPAM_frac, GCS, THE, PFAR.
    (4, 1, &[0, 4, 8, 24, 28, 32, 36, 40]),
    // ID_AA64PFR2_EL1: MTESTOREONLY, MTEFAR, FPMR.
    (4, 2, &[4, 8, 32]),
    // ID_AA64ZFR0_EL1, ID_AA64SMFR0_EL1, ID_AA64FPFR0_EL1
    (4, 4, ALL),
    (4, 5, ALL),
    (4, 7, ALL),
    // ID_AA64DFR0_EL1: DebugVer, TraceVer, PMUVer, BRPs, WRPs, CTX_CMPs, DoubleLock, TraceFilt, MTPMU. Not: PMSVer, TraceBuffer,
    // BRBE, PMSS, SEBEP, HPMN0.
    (5, 0, &[0, 4, 8, 12, 20, 28, 36, 40, 48]),
    // ID_AA64ISAR0_EL1
    (6, 0, ALL),
    // ID_AA64ISAR1_EL1: all but LS64.
    (6, 1, &[0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56]),
    // ID_AA64ISAR2_EL1: all but SYSREG_128 and SYSINSTR_128.
    (6, 2, &[0, 4, 8, 12, 16, 20, 24, 28, 40, 44, 48, 52, 56, 60]),
    // ID_AA64ISAR3_EL1: CPA, FAMINMAX.
    (6, 3, &[0, 4]),
    // ID_AA64MMFR0_EL1 to ID_AA64MMFR2_EL1
    (7, 0, ALL),
    (7, 1, ALL),
    (7, 2, ALL),
    // ID_AA64MMFR3_EL1: TCRX, SCTLRX, S1PIE, S1POE, Spec_FPACC. Not: AIE, MEC, D128, asynchronous errors.
    (7, 3, &[0, 4, 8, 16, 60]),
];

/// All fields of a register.
const ALL: &[u32] = &[0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60];

/// By CRm, op2 and first bit: the most that the host gets of a field. ID_AA64PFR0_EL1.RAS without fault injection,
/// ID_AA64DFR0_EL1.PMUVer without PMUACR_EL1.
const AT_MOST: [(u64, u64, u32, u64); 2] = [(4, 0, 28, 1), (5, 0, 8, 8)];

/// What the host reads where the CPU has `value`.
#[must_use]
pub fn shown(crm: u64, op2: u64, value: u64) -> u64 {
    // Those for AArch32 are of no consequence.
    let fields = if crm < 4 {
        ALL
    } else {
        SHOWN.iter().find(|row| (row.0, row.1) == (crm, op2)).map_or(&[][..], |row| row.2)
    };
    fields.iter().fold(0, |all, &at| {
        let limit = AT_MOST.iter().find(|row| (row.0, row.1, row.2) == (crm, op2, at)).map(|row| row.3);
        let field = value >> at & 0xf;
        // 0xf means that it is not there in the architecture's form.
        all | (if field == 0xf { field } else { field.min(limit.unwrap_or(0xf)) }) << at
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_opened_is_not_there() {
        assert_eq!(
            shown(4, 1, 0x0001_1100_0101_0321),
            0x0000_0100_0100_0321 & !0xf_0000,
            "THE, GCS, MPAM_frac"
        );
        assert_eq!(shown(7, 3, 0x0101_1111), 0x1_0111, "AIE");
        assert_eq!(shown(4, 3, !0), 0, "nobody knows it");
        assert_eq!(shown(1, 0, 0x1234), 0x1234);
        assert_eq!(shown(5, 0, 0x0010_0000_0000_0906), 0x0806, "BRBE; PMUv3p9");
        assert_eq!(shown(5, 0, 0xf06), 0xf06);
    }

    #[test]
    fn only_reads_of_id_registers_are_decoded() {
        // mrs x3, ID_AA64PFR1_EL1
        let esr = 0x18 << 26 | 1 << 25 | 0b11 << 20 | 1 << 17 | 3 << 5 | 4 << 1 | 1;
        assert_eq!(Access::decode(esr), Some(Access { crm: 4, op2: 1, target: 3 }));
        // A write; op1 = 1; CRn = 1; CRm = 8; op0 = 2.
        for other in [esr ^ 1, esr | 1 << 14, esr | 1 << 10, esr ^ 12 << 1, esr & !(1 << 20)] {
            assert_eq!(Access::decode(other), None, "{other:#x}");
        }
    }
}
