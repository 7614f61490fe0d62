//! How EL2 runs, where a CPU leaves the kernel a choice.

use std::fmt;

use parallax_trace::spec::MachineSpec;
use parallax_vmsa::SysRegs;

use crate::error::MachineError;

/// HCR_EL2.E2H.
const E2H: u64 = 1 << 34;

/// A choice. Without one the kernel chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// HCR_EL2.E2H = 1 (hVHE). The CPU must have FEAT_VHE.
    Hvhe,
    /// HCR_EL2.E2H = 0 (nVHE), whatever the CPU has.
    Nvhe,
    /// Addresses of 48 bits where the CPU, `cpu=max`, has 52 (FEAT_LPA2).
    NoLpa2,
}

impl Form {
    /// All, in the order in which they are written.
    pub const ALL: [Self; 3] = [Self::Hvhe, Self::Nvhe, Self::NoLpa2];

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hvhe => "hvhe",
            Self::Nvhe => "nvhe",
            Self::NoLpa2 => "no-lpa2",
        }
    }

    /// What the kernel's command line says for it. The kernel takes a CPU to have what these override.
    pub(super) const fn append(self) -> &'static str {
        match self {
            Self::Hvhe => " arm64_sw.hvhe=1",
            Self::Nvhe => " arm64_sw.hvhe=0 id_aa64mmfr1.vh=0",
            Self::NoLpa2 => "",
        }
    }

    /// What QEMU's CPU model `max` gets for it.
    pub(super) const fn property(self) -> &'static str {
        match self {
            Self::NoLpa2 => ",lpa2=off",
            Self::Hvhe | Self::Nvhe => "",
        }
    }

    /// Refuses a machine that cannot be so, before it is booted.
    pub(super) fn fits(self, spec: &MachineSpec) -> Result<(), MachineError> {
        if self == Self::NoLpa2 && spec.cpu != "max" {
            let what = format!("+no-lpa2: {} has no FEAT_LPA2 as it is; cpu=max has", spec.cpu);
            return Err(MachineError::Foreign(what));
        }
        Ok(())
    }

    /// Refuses an EL2 that runs otherwise.
    pub(super) fn is_so(self, registers: &SysRegs) -> Result<(), MachineError> {
        let e2h = registers.hcr_el2 & E2H != 0;
        match (self, e2h) {
            (Self::Hvhe, true) | (Self::Nvhe, false) | (Self::NoLpa2, _) => Ok(()),
            (form, _) => {
                let is = u8::from(e2h);
                let why =
                    if e2h { "the kernel does not take it" } else { "the CPU, or the kernel, has no VHE" };
                Err(MachineError::Foreign(format!(
                    "+{}: EL2 runs with HCR_EL2.E2H = {is}: {why}",
                    form.name()
                )))
            }
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_el2_that_runs_otherwise_is_refused() {
        let of = |hcr_el2| SysRegs { hcr_el2, ..SysRegs::default() };
        assert!(Form::Hvhe.is_so(&of(E2H)).is_ok() && Form::Nvhe.is_so(&of(1)).is_ok());
        for (form, hcr_el2) in [(Form::Hvhe, 1), (Form::Nvhe, E2H | 1)] {
            let error = form.is_so(&of(hcr_el2)).unwrap_err().to_string();
            assert!(error.contains("E2H = ") && error.contains(form.name()), "{error}");
        }
    }

    #[test]
    fn only_the_model_that_has_52_bits_can_be_without() {
        let spec = |cpu: &str| MachineSpec { cpu: cpu.to_owned(), ..MachineSpec::default() };
        assert!(Form::NoLpa2.fits(&spec("max")).is_ok() && Form::Nvhe.fits(&spec("cortex-a72")).is_ok());
        assert!(Form::NoLpa2.fits(&spec("cortex-a76")).unwrap_err().to_string().contains("cpu=max has"));
    }
}
