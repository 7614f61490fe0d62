//! Classes of failures, and the exit status of each.

/// What class of failure an error is; a command turns it into its exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// The machine ran and failed, in its boot or later: exit status 1.
    Run,
    /// The input or the request is wrong: exit status 2.
    Usage,
    /// There was nothing to judge: it could not be built, QEMU did not run it, it is not one that this harness
    /// understands, or the disk is full. Exit status 125.
    Setup,
    /// The user cancelled it: exit status 130.
    Cancelled,
}

impl FailureClass {
    /// What it is that a file the user named cannot be read or written: the wrong file, or a disk that is full, or a limit of the shell's.
    #[must_use]
    pub fn of_file(error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Self::Setup,
            _ => Self::Usage,
        }
    }

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
