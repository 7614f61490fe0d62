//! How the command ends.

use std::fmt;
use std::process::ExitCode;

use parallax_machine::FailureClass;

/// What the exit status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 0: everything is as agreed.
    Same,
    /// 1: something diverged, was found, or failed while it ran, in its boot too.
    Diverged,
    /// 2: wrong usage or malformed input.
    Usage,
    /// 125: there was nothing to judge: it could not be built, QEMU did not run it, or the disk is full (`git bisect
    /// run` skips such a revision).
    Setup,
    /// 130: interrupted by the user.
    Interrupted,
}

impl Status {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Same => 0,
            Self::Diverged => 1,
            Self::Usage => 2,
            Self::Setup => 125,
            Self::Interrupted => 130,
        }
    }

    /// What both together say. An interruption hides what was not reached; what diverged is certain, whatever
    /// else could not be booted.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        const ORDER: [Status; 5] =
            [Status::Interrupted, Status::Usage, Status::Diverged, Status::Setup, Status::Same];
        ORDER.into_iter().find(|status| *status == self || *status == other).unwrap_or(self)
    }
}

impl From<FailureClass> for Status {
    fn from(class: FailureClass) -> Self {
        match class {
            FailureClass::Run => Self::Diverged,
            FailureClass::Usage => Self::Usage,
            FailureClass::Setup => Self::Setup,
            FailureClass::Cancelled => Self::Interrupted,
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.code())
    }
}

/// An error that knows its exit status, to be found again at the edge.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit status.
    pub status: Status,
    /// What to tell the user.
    pub message: String,
}

impl Failure {
    /// Wrong usage.
    #[must_use]
    pub fn usage(message: impl ToString) -> Self {
        Self { status: Status::Usage, message: message.to_string() }
    }

    /// A file that cannot be read or written: the wrong file, or no room on its disk.
    #[must_use]
    pub fn file(path: impl fmt::Display, error: &std::io::Error) -> Self {
        Self { status: FailureClass::of_file(error).into(), message: format!("{path}: {error}") }
    }

    /// What and why, in one line.
    #[must_use]
    pub fn in_short(&self) -> String {
        self.message.lines().take(2).collect::<Vec<_>>().join(": ")
    }
}

impl From<parallax_machine::MachineError> for Failure {
    fn from(error: parallax_machine::MachineError) -> Self {
        Self { status: error.class().into(), message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_graver_status_wins() {
        assert_eq!(Status::Same.and(Status::Setup), Status::Setup);
        assert_eq!(Status::Setup.and(Status::Diverged), Status::Diverged);
        assert_eq!(Status::Diverged.and(Status::Interrupted), Status::Interrupted);
        assert_eq!(Status::Same.and(Status::Same), Status::Same);
    }
}
