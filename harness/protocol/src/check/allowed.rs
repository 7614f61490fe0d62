//! Which commands a hypervisor may give to an SMMU whose devices its stage 2 confines.
//!
//! The Non-secure queue takes those of IHI 0070, 4.1 to 4.7, as far as the SMMU has what they are about. Of these, a host's
//! command must not do more than the host may: it invalidates what is cached under its own VMID, and writes nowhere.

use parallax_smmu::command::{Command, CommandKind as Kind};
use parallax_smmu::idr::Idr0;

use super::checker::Checker;
use super::finding::{Site, Subject};
use super::rule::Rule;

/// IDR0.STALL_MODEL: nothing ever stalls.
const NO_STALL: u8 = 0b01;

impl Checker {
    /// Judges a command that the SMMU was given.
    pub(super) fn judge_command(&mut self, at: Site, command: Command, index: u64) {
        let vmid = command.field("VMID").unwrap_or_default() as u16;
        let is_known = vmid == 0 || self.smmu.vmids.contains_key(&vmid);
        if let Some(what) = forbidden(command, self.smmu.idr0, is_known) {
            let what = format!("{}: {what}", command.kind().name());
            let missing = "a command that was checked and put together anew".to_owned();
            self.report(Rule::CommandForbidden, Subject::Command(index), at, None, what, missing);
        }
    }
}

/// Why a command may not be given; nothing where it may. `is_known`: its VMID, if it has one, is the host's 0 or that of a
/// stage 2 that streams use.
fn forbidden(command: Command, idr0: Option<Idr0>, is_known: bool) -> Option<&'static str> {
    let lacks = |has: fn(&Idr0) -> bool| idr0.is_some_and(|idr0| !has(&idr0));
    let set = |name| command.field(name).is_some_and(|value| value != 0);
    match command.kind() {
        Kind::CfgiSte | Kind::CfgiSteRange | Kind::CfgiCd | Kind::CfgiCdAll => {
            set("SSec").then_some("SSec=1 is about the Secure stream table")
        }
        Kind::TlbiNhAll | Kind::TlbiNhAsid | Kind::TlbiNhVa | Kind::TlbiNhVaa => {
            (!is_known).then_some("a VMID that is not the host's, nor that of any stage 2")
        }
        Kind::TlbiS12Vmall | Kind::TlbiS2Ipa | Kind::TlbiNsnhAll => None,
        Kind::TlbiEl2All | Kind::TlbiEl2Asid | Kind::TlbiEl2Va | Kind::TlbiEl2Vaa => {
            lacks(Idr0::hyp).then_some("IDR0.Hyp is 0")
        }
        Kind::Sync if set("MSIAddr") => Some("the SMMU would write its MSI past all translation"),
        Kind::Sync => (command.field("CS") == Some(0b11)).then_some("CS=0b11 is reserved"),
        Kind::AtcInv => lacks(Idr0::ats).then_some("IDR0.ATS is 0"),
        Kind::PriResp => lacks(Idr0::pri).then_some("IDR0.PRI is 0"),
        Kind::Resume | Kind::StallTerm => {
            lacks(|idr0| idr0.stall_model() != NO_STALL).then_some("nothing stalls here")
        }
        Kind::PrefetchConfig | Kind::PrefetchAddr => Some("a hint, which no host needs"),
        Kind::CfgiVmsPidm => Some("there is no MPAM for streams"),
        Kind::Unknown(_) => Some("no opcode of the specification"),
        _ => Some("not for the Non-secure queue"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_forbidden(low: u64, high: u64, idr0: u64) -> bool {
        let command = Command([low, high]);
        let vmid = command.field("VMID").unwrap_or_default();
        forbidden(command, Some(Idr0([idr0])), vmid == 0 || vmid == 7).is_some()
    }

    #[test]
    fn the_non_secure_queue_takes_what_the_specification_gives_it() {
        // QEMU's: no Hyp, ATS, PRI, stalls.
        const IDR0: u64 = 0x0d44_101b;
        let allowed: Vec<u64> = (0..=0xff).filter(|opcode| !is_forbidden(*opcode, 0, IDR0)).collect();
        assert_eq!(allowed, [0x03, 0x04, 0x05, 0x06, 0x10, 0x11, 0x12, 0x13, 0x28, 0x2a, 0x30, 0x46]);
        let all = IDR0 | 1 << 9 | 1 << 10 | 1 << 16 | 3 << 24;
        let more: Vec<u64> = (0..=0xff).filter(|opcode| !is_forbidden(*opcode, 0, all)).collect();
        assert_eq!(
            more,
            [
                0x03, 0x04, 0x05, 0x06, 0x10, 0x11, 0x12, 0x13, 0x20, 0x21, 0x22, 0x23, 0x28, 0x2a, 0x30,
                0x40, 0x41, 0x44, 0x45, 0x46
            ]
        );
    }

    #[test]
    fn fields_decide_too() {
        assert!(is_forbidden(0x03 | 1 << 10, 0, 0), "SSec");
        assert!(is_forbidden(0x11 | 1 << 32, 0, 0), "a VMID that nobody has");
        assert!(!is_forbidden(0x11 | 7 << 32, 0, 0), "the VMID of a stage 2");
        assert!(is_forbidden(0x46 | 1 << 12, 0x4008_0040, 0), "an MSI");
        assert!(!is_forbidden(0x46 | 1 << 12, 0, 0), "no MSI");
        assert!(is_forbidden(0x46 | 3 << 12, 0, 0), "reserved");
    }
}
