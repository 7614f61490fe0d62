//! What ESR_EL2 says of the other registers of an abort (DDI 0487, D24.2).

use super::checker::Checker;
use super::finding::{Site, Subject};
use super::rule::Rule;
use crate::event::Sysreg;

/// Whether HPFAR_EL2 holds the IPA: at aborts from a lower level that are translation, access flag or address size faults,
/// or that are on a stage-1 walk.
fn hpfar_is_known(esr: u64) -> bool {
    let (class, on_walk, status) = (esr >> 26 & 0x3f, esr >> 7 & 1 != 0, esr & 0x3f);
    matches!(class, 0x20 | 0x24) && (on_walk || matches!(status >> 2, 0..=2))
}

/// Whether FAR_EL2 holds the address: FnV is not set at an abort.
fn far_is_known(esr: u64) -> bool {
    !(matches!(esr >> 26 & 0x3f, 0x20 | 0x21 | 0x24 | 0x25) && esr >> 10 & 1 != 0)
}

impl Checker {
    /// A system register is read.
    pub(super) fn sysreg_read(&mut self, at: Site, reg: Sysreg, value: u64) {
        let cpu = self.cpus.of(at.cpu);
        let (name, known): (&str, fn(u64) -> bool) = match reg {
            Sysreg::IdAa64mmfr2El1 => {
                self.config.cpu_bbm = (value >> 52 & 0xf) as u8;
                return;
            }
            Sysreg::EsrEl2 => {
                cpu.esr = Some(value);
                return;
            }
            Sysreg::HpfarEl2 => ("HPFAR_EL2", hpfar_is_known),
            Sysreg::FarEl2 => ("FAR_EL2", far_is_known),
            _ => return,
        };
        let Some(esr) = cpu.esr.filter(|esr| !known(*esr)) else { return };
        let what = format!("read after ESR_EL2 was {esr:#x}, which leaves it UNKNOWN");
        let missing = "a syndrome that gives it a value; AT tells the IPA of other aborts".to_owned();
        self.report(Rule::UnknownRegister, Subject::Register(name), at, None, what, missing);
    }
}
