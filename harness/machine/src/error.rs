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
    /// The gdbstub said something that is not understood.
    #[error("gdbstub: {0}")]
    Rsp(#[from] RspError),
    /// The CPU model has no such register.
    #[error("CPU model `{cpu}` has no register {register}: it cannot run the hypervisor")]
    UnknownRegister {
        /// Name of the register, as the Arm ARM spells it.
        register: &'static str,
        /// QEMU's CPU model.
        cpu: String,
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

impl From<RecordError> for MachineError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Recording(error) => Self::Recording(error),
            RecordError::Memory(error) => Self::Memory(error),
        }
    }
}

impl MachineError {
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
        let register = MachineError::UnknownRegister { register: "TCR_EL2", cpu: "max".to_owned() };
        assert_eq!(register.class(), FailureClass::Setup);
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
