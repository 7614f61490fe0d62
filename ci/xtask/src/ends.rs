//! How a task ends that is not in order.

use std::fmt;

/// Something is not as it must be.
pub(crate) const DIFFERENT: u8 = 1;
/// Wrong usage.
pub(crate) const USAGE: u8 = 2;
/// It could not be tried: something is not there, or could not be built.
pub(crate) const SETUP: u8 = 125;

/// An end with its exit status.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit status.
    pub(crate) status: u8,
    /// What is wrong, and what can be done about it; nothing where the one that failed has said it.
    pub(crate) message: String,
}

impl Failure {
    /// Something is not as it must be.
    pub(crate) fn different(message: impl ToString) -> Self {
        Self { status: DIFFERENT, message: message.to_string() }
    }

    /// Wrong usage.
    pub(crate) fn usage(message: impl ToString) -> Self {
        Self { status: USAGE, message: message.to_string() }
    }

    /// It could not be tried.
    pub(crate) fn setup(message: impl ToString) -> Self {
        Self { status: SETUP, message: message.to_string() }
    }

    /// Ended by a signal, as a shell tells it.
    pub(crate) fn signal(number: u8) -> Self {
        Self { status: 128 + number, message: String::new() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The exit status that `error` asks for. What nobody foresaw, such as a file that cannot be read, kept it from being tried.
pub(crate) fn status_of(error: &anyhow::Error) -> u8 {
    error.downcast_ref::<Failure>().map_or(SETUP, |failure| failure.status)
}
