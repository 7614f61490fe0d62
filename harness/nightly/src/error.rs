//! What keeps a night from its end.

use std::path::{Path, PathBuf};

use parallax_engine::status::{Failure, Status};

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum NightError {
    /// Another process writes to the same history.
    #[error("another night is at work in {}: wait for it, or give this one a --results of its own", .0.display())]
    Busy(PathBuf),
    /// What was given is no part of a night, not of the same one, or no history.
    #[error("{0}")]
    Unfit(String),
    /// The history cannot be read or written.
    #[error("{}: {cause}", .path.display())]
    History {
        /// Its file.
        path: PathBuf,
        /// Why.
        cause: rusqlite::Error,
    },
    /// A file cannot be read or written, or a program cannot be run.
    #[error("{}: {cause}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A signal ended the night.
    #[error(
        "ended by a signal; what was done so far is in the history as a night that did not get to its end"
    )]
    Ended(i32),
}

impl NightError {
    /// Of a file or a program.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |cause| Self::Io { path: path.to_owned(), cause }
    }
}

impl From<NightError> for Failure {
    fn from(error: NightError) -> Self {
        let status = match &error {
            NightError::Unfit(_) => Status::Usage,
            NightError::Busy(_) | NightError::History { .. } => Status::Setup,
            NightError::Io { path, cause } => return Self::file(path.display(), cause),
            NightError::Ended(_) => Status::Interrupted,
        };
        Self { status, message: error.to_string() }
    }
}
