//! Everything that can go wrong with a machine, each kind with a message of its own.

use std::time::Duration;

use parallax_vmsa::MemError;

use crate::config::ConfigError;
use crate::journal::JournalError;
use crate::qemu::QemuError;
use crate::recording::RecordingError;
use crate::rsp::RspError;
use crate::symbols::SymbolError;
use crate::toolchain::ToolchainError;

/// What class of failure an error is; a command turns it into its exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// The machine ran and failed: exit status 1.
    Run,
    /// The input or the request is wrong: exit status 2.
    Usage,
    /// It could not be built or booted: exit status 125.
    Setup,
    /// The user cancelled it: exit status 130.
    Cancelled,
}

impl FailureClass {
    /// The exit status of a command that ends with it.
    #[must_use]
    pub const fn exit_status(self) -> u8 {
        match self {
            Self::Run => 1,
            Self::Usage => 2,
            Self::Setup => 125,
            Self::Cancelled => 130,
        }
    }
}

/// A failure of a machine.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The images could not be built.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// The configuration is impossible.
    #[error("impossible machine: {0}")]
    Config(#[from] ConfigError),
    /// QEMU is missing, too old or did not start.
    #[error(transparent)]
    Qemu(#[from] QemuError),
    /// The images have no usable symbols.
    #[error(transparent)]
    Symbols(#[from] SymbolError),
    /// The machine failed before it was ready for its first operation.
    #[error("the machine did not boot\n{0}")]
    Boot(Box<Self>),
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
    /// The hypervisor's or the test host's own description is not as agreed.
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

impl MachineError {
    /// What class of failure it is.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Cancelled | Self::Toolchain(ToolchainError::Cancelled) => FailureClass::Cancelled,
            Self::Boot(cause) if cause.class() == FailureClass::Cancelled => FailureClass::Cancelled,
            Self::Config(_) | Self::Recording(_) => FailureClass::Usage,
            Self::Toolchain(_)
            | Self::Qemu(_)
            | Self::Symbols(_)
            | Self::Boot(_)
            | Self::UnknownRegister { .. }
            | Self::Contract(_) => FailureClass::Setup,
            Self::Panic { .. }
            | Self::UnexpectedStop { .. }
            | Self::Hang { .. }
            | Self::QemuDied { .. }
            | Self::Rsp(_)
            | Self::Memory(_)
            | Self::Journal(_) => FailureClass::Run,
        }
    }
}
