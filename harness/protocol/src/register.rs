//! Registers that events name.

use crate::names::names;

names! {
    /// System registers that have to do with translation.
    Sysreg {
        /// Root of stage 2 and its VMID.
        VttbrEl2 = "vttbr_el2",
        /// Control of stage 2.
        VtcrEl2 = "vtcr_el2",
        /// Configuration; bit 0 turns stage 2 on.
        HcrEl2 = "hcr_el2",
        /// Root of EL2's stage 1 and its ASID.
        Ttbr0El2 = "ttbr0_el2",
        /// Control of EL2's stage 1.
        TcrEl2 = "tcr_el2",
        /// Memory types of EL2's stage 1.
        MairEl2 = "mair_el2",
        /// Root of Secure stage 2.
        VsttbrEl2 = "vsttbr_el2",
        /// Control of Secure stage 2.
        VstcrEl2 = "vstcr_el2",
        /// Syndrome of the exception that was taken to EL2.
        EsrEl2 = "esr_el2",
        /// Its virtual address.
        FarEl2 = "far_el2",
        /// Its IPA.
        HpfarEl2 = "hpfar_el2",
        /// Bit 0 turns EL2's stage 1 on.
        SctlrEl2 = "sctlr_el2",
        /// BBM, bits 55:52: the level of FEAT_BBM.
        IdAa64mmfr2El1 = "id_aa64mmfr2_el1",
    }
}

impl Sysreg {
    /// Whether a write of it changes how this CPU translates, and must be synchronised.
    pub(crate) const fn is_translation_control(self) -> bool {
        matches!(
            self,
            Self::VttbrEl2
                | Self::VtcrEl2
                | Self::HcrEl2
                | Self::Ttbr0El2
                | Self::TcrEl2
                | Self::MairEl2
                | Self::SctlrEl2
        )
    }
}

names! {
    /// Registers of the GIC that give it memory, or have it use or leave it (IHI 0069, 12.11 and 12.19).
    GicRegister {
        /// The ITS's command queue.
        GitsCbaser = "gits_cbaser",
        /// How far it is filled.
        GitsCwriter = "gits_cwriter",
        /// How far the ITS has come.
        GitsCreadr = "gits_creadr",
        /// A table of the ITS.
        GitsBaser = "gits_baser",
        /// The configuration of LPIs.
        GicrPropbaser = "gicr_propbaser",
        /// The LPIs that are pending for one redistributor.
        GicrPendbaser = "gicr_pendbaser",
        /// Whether a redistributor uses both.
        GicrCtlr = "gicr_ctlr",
    }
}

impl GicRegister {
    /// Whether it gives the GIC memory.
    #[must_use]
    pub const fn is_base(self) -> bool {
        matches!(self, Self::GitsCbaser | Self::GitsBaser | Self::GicrPropbaser | Self::GicrPendbaser)
    }
}
