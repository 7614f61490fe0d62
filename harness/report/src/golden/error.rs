//! Why a golden cannot be read or written.

use std::path::{Path, PathBuf};

use parallax_engine::status::{Failure, Status};
use parallax_machine::FailureClass;

use crate::walk::WalkError;

/// Reading or writing a golden failed.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// The file system refused.
    #[error("{path}: {cause}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A folder cannot be looked through.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// What is there is none that can be read.
    #[error("{path}: {what}, and no golden: remove it", path = .path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// A line of the file is none of a snapshot's.
    #[error("{path}:{line}: no insta snapshot: {what}", path = .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        what: String,
    },
    /// git knows no such commit.
    #[error("git knows no commit `{0}`: fetch it, or name another")]
    Revision(String),
    /// git failed.
    #[error("git {args}: {cause}")]
    Git {
        /// What it was asked.
        args: String,
        /// Why.
        cause: String,
    },
    /// The file is no snapshot of insta's.
    #[error("{path}: no insta snapshot: {cause}", path = .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
}

impl From<GoldenError> for Failure {
    fn from(error: GoldenError) -> Self {
        let status = match &error {
            GoldenError::Io { cause, .. } => FailureClass::of_file(cause).into(),
            _ => Status::Usage,
        };
        Self { status, message: error.to_string() }
    }
}

impl GoldenError {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        |cause| Self::Io { path: path.to_owned(), cause }
    }
}
