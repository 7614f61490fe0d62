//! Everything that can go wrong with a machine, each kind with a message of its own.

use std::time::Duration;

use parallax_trace::spec::SpecError;
use parallax_vmsa::MemError;

use crate::failure::FailureClass;
use crate::journal::JournalError;
use crate::qemu::QemuError;
use crate::recording::{RecordError, RecordingError};
use crate::rsp::RspError;
use crate::symbols::SymbolError;
use crate::toolchain::ToolchainError;

/// A failure of a machine.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The images could not be built.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// The configuration is impossible.
    #[error("impossible machine: {0}")]
    Config(#[from] SpecError),
    /// QEMU is missing, too old or did not start.
    #[error(transparent)]
    Qemu(#[from] QemuError),
    /// The images have no usable symbols.
    #[error(transparent)]
    Symbols(#[from] SymbolError),
    /// QEMU was started, and did not get as far as to run the machine.
    #[error("QEMU did not begin to run the machine\n{0}")]
    NotStarted(Box<Self>),
    /// The machine ran and failed before it was ready for its first operation.
    #[error("the machine did not boot\n{0}")]
    Boot(Box<Self>),
    /// The hypervisor or the test host is of another version than this harness.
    #[error("{0}; harness and hypervisor must be of revisions that fit together")]
    Unfit(String),
    /// A hypervisor that is not ours has not what is needed to look at it.
    #[error("this target does not fit: {0}")]
    Foreign(String),
    /// The hypervisor panicked. The report holds its message and a symbolised stack trace.
    #[error("the hypervisor panicked\n{report}")]
    Panic {
        /// Text for a person.
        report: String,
    },
    /// A CPU stopped where it must not (the test host's `parallax_stuck`, a signal).
    #[error("unexpected stop: {what}\n{report}")]
    UnexpectedStop {
        /// Where, in one line.
        what: String,
        /// Text for a person.
        report: String,
    },
    /// EL2 does nothing any more that can be seen outside, and does not return to the host. The report says where each CPU is.
    #[error("hang at EL2: it neither stores anything nor returns to the host\n{report}")]
    Endless {
        /// Text for a person.
        report: String,
    },
    /// Nothing came back in time. The report says where each CPU is.
    #[error("hang: {waiting_for} did not happen within {limit:?}\n{report}")]
    Hang {
        /// What was waited for.
        waiting_for: &'static str,
        /// How long, in wall time.
        limit: Duration,
        /// Text for a person.
        report: String,
    },
    /// The guest switched the machine off while something was still to be done.
    #[error("the guest switched the machine off")]
    SwitchedOff,
    /// QEMU ended by itself.
    #[error("QEMU died half-way ({status})\n{report}")]
    QemuDied {
        /// Its exit status.
        status: String,
        /// The end of what it and the machine printed.
        report: String,
    },
    /// Somebody else ended QEMU, which is nothing that a machine can do.
    #[error("QEMU was killed from outside ({status}), which says nothing of the hypervisor\n{report}")]
    QemuKilled {
        /// By what.
        status: String,
        /// The end of what it and the machine printed.
        report: String,
    },
    /// The gdbstub said something that is not understood.
    #[error("gdbstub: {0}")]
    Rsp(RspError),
    /// The CPUs have no such register.
    #[error("{}", without_register(register, cpu.as_deref()))]
    UnknownRegister {
        /// Name of the register, as the Arm ARM spells it.
        register: &'static str,
        /// QEMU's CPU model, where it is known.
        cpu: Option<String>,
    },
    /// Memory that is not there was read.
    #[error(transparent)]
    Memory(#[from] MemError),
    /// What the hypervisor or the test host sets up, or says of itself, is not as agreed.
    #[error("{0}")]
    Contract(String),
    /// A recording is malformed, or is one of something else.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// A plugin's journal cannot be believed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The user cancelled the run.
    #[error("interrupted")]
    Cancelled,
}

/// What it means that a machine with CPUs of model `cpu`, if that is known, has no `register`.
fn without_register(register: &str, cpu: Option<&str>) -> String {
    match cpu {
        Some(cpu) => format!("CPU model `{cpu}` has no register {register}: it cannot run the hypervisor"),
        None if register.ends_with("_EL2") => format!(
            "the CPUs of this machine have no register {register}: they have no EL2; start QEMU with `-machine virt,virtualization=on`"
        ),
        None => format!("the CPUs of this machine have no register {register}: is it an AArch64 machine?"),
    }
}

impl From<RspError> for MachineError {
    fn from(error: RspError) -> Self {
        match error {
            RspError::Cancelled => Self::Cancelled,
            error => Self::Rsp(error),
        }
    }
}

impl From<RecordError> for MachineError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Recording(error) => Self::Recording(error),
            RecordError::Memory(error) => Self::Memory(error),
        }
    }
}

impl MachineError {
    /// That a machine ran and then failed with `cause` in its boot. One that the user ended did not fail.
    #[must_use]
    pub fn in_boot(cause: Self) -> Self {
        if cause.class() == FailureClass::Cancelled { Self::Cancelled } else { Self::Boot(Box::new(cause)) }
    }

    /// Whether somebody else ended QEMU: on another machine the same may well go on.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        match self {
            Self::QemuKilled { .. } => true,
            Self::Boot(cause) | Self::NotStarted(cause) => cause.is_killed(),
            _ => false,
        }
    }

    /// What class of failure it is. Once QEMU runs the machine, whatever goes wrong is the hypervisor's: a revision
    /// that sets up something wrong is a bad one, and none to be skipped.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Cancelled | Self::Toolchain(ToolchainError::Cancelled) | Self::Rsp(RspError::Cancelled) => {
                FailureClass::Cancelled
            }
            Self::NotStarted(cause) if cause.class() == FailureClass::Cancelled => FailureClass::Cancelled,
            Self::Boot(cause) => cause.class(),
            Self::Config(_) => FailureClass::Usage,
            Self::Recording(error) => error.class(),
            Self::Toolchain(_)
            | Self::Qemu(_)
            | Self::QemuKilled { .. }
            | Self::Symbols(_)
            | Self::NotStarted(_)
            | Self::UnknownRegister { .. }
            | Self::Unfit(_)
            | Self::Foreign(_) => FailureClass::Setup,
            Self::Panic { .. }
            | Self::UnexpectedStop { .. }
            | Self::Endless { .. }
            | Self::Hang { .. }
            | Self::SwitchedOff
            | Self::QemuDied { .. }
            | Self::Rsp(_)
            | Self::Memory(_)
            | Self::Contract(_)
            | Self::Journal(_) => FailureClass::Run,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class_in_boot(cause: MachineError) -> FailureClass {
        MachineError::Boot(Box::new(cause)).class()
    }

    fn died() -> MachineError {
        MachineError::QemuDied { status: "signal: 6".to_owned(), report: String::new() }
    }

    #[test]
    fn what_a_machine_that_runs_gets_wrong_is_a_failure_of_it() {
        let contract = || MachineError::Contract("EL2's stage 1: 52-bit addresses".to_owned());
        let hang = MachineError::Hang {
            waiting_for: "the end of the boot",
            limit: Duration::from_secs(1),
            report: String::new(),
        };
        for cause in [contract(), MachineError::Panic { report: String::new() }, hang, died()] {
            assert_eq!(class_in_boot(cause), FailureClass::Run);
        }
        assert_eq!(contract().class(), FailureClass::Run, "after the boot");
    }

    #[test]
    fn what_did_not_run_or_is_not_understood_is_skipped() {
        let silent = MachineError::Rsp(RspError::Timeout("qSupported".to_owned()));
        for cause in [died(), silent] {
            assert_eq!(MachineError::NotStarted(Box::new(cause)).class(), FailureClass::Setup);
        }
        assert_eq!(class_in_boot(MachineError::Unfit("version 1".to_owned())), FailureClass::Setup);
        assert_eq!(MachineError::Toolchain(ToolchainError::Missing).class(), FailureClass::Setup);
        assert_eq!(MachineError::Qemu(QemuError::Missing).class(), FailureClass::Setup);
        let register = MachineError::UnknownRegister { register: "TCR_EL2", cpu: Some("max".to_owned()) };
        assert_eq!(register.class(), FailureClass::Setup);
    }

    #[test]
    fn what_a_machine_without_el2_lacks_is_told_with_the_remedy() {
        let said = |register, cpu: Option<&str>| {
            MachineError::UnknownRegister { register, cpu: cpu.map(str::to_owned) }.to_string()
        };
        assert!(said("TCR_EL2", Some("max")).starts_with("CPU model `max` has no register TCR_EL2"));
        assert!(said("TCR_EL2", None).ends_with("start QEMU with `-machine virt,virtualization=on`"));
        assert!(said("cpsr", None).ends_with("is it an AArch64 machine?"));
    }

    #[test]
    fn a_boot_that_the_user_ends_is_no_failed_boot() {
        let waiting: MachineError = RspError::Cancelled.into();
        assert_eq!(MachineError::in_boot(waiting).to_string(), "interrupted");
        assert!(matches!(MachineError::in_boot(died()), MachineError::Boot(_)));
    }

    #[test]
    fn a_full_disk_says_nothing_of_the_input() {
        let class = |kind: std::io::ErrorKind| {
            let recording = RecordingError::Io { path: "a.plx".into(), source: kind.into() };
            MachineError::Recording(recording).class()
        };
        assert_eq!(class(std::io::ErrorKind::StorageFull), FailureClass::Setup);
        assert_eq!(class(std::io::ErrorKind::QuotaExceeded), FailureClass::Setup);
        assert_eq!(class(std::io::ErrorKind::FileTooLarge), FailureClass::Setup);
        assert_eq!(class(std::io::ErrorKind::NotFound), FailureClass::Usage);
    }

    #[test]
    fn what_the_user_ends_is_interrupted_wherever_it_was() {
        let waiting = MachineError::Rsp(RspError::Cancelled);
        for cancelled in
            [MachineError::Cancelled, MachineError::Toolchain(ToolchainError::Cancelled), waiting]
        {
            assert_eq!(cancelled.class(), FailureClass::Cancelled);
        }
        assert_eq!(class_in_boot(MachineError::Cancelled), FailureClass::Cancelled);
        let early = MachineError::NotStarted(Box::new(MachineError::Cancelled));
        assert_eq!(early.class(), FailureClass::Cancelled);
    }
}
