//! Goldens: the reviewed result of each trace, in insta's file form.
//!
//! `traces/good/share.trace` has its golden in `golden/good/share.snap`; a trace outside of a `traces` folder has it
//! beside itself. A result that differs is written as `share.snap.new`, which `cargo insta review` and `parallax
//! accept` find. A file is written whole or not at all.

mod file;
mod kinds;
mod orphans;
mod place;

use std::path::{Path, PathBuf};

pub use file::{accept, findings_in, reject, save, text};
pub use kinds::Kinds;
pub use orphans::orphans;
pub use place::{Place, pending_under};

use crate::text_diff;

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
    /// The file is no snapshot of insta's.
    #[error("{path}: no insta snapshot: {cause}", path = .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
}

impl GoldenError {
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        |cause| Self::Io { path: path.to_owned(), cause }
    }
}

/// How a result stands to its golden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The same.
    Same,
    /// There is no golden.
    Missing,
    /// Another one was agreed: lines with `-` (agreed) and `+` (now), and some around them.
    Different {
        /// The difference.
        diff: String,
    },
}

/// Compares `text` with the golden at `place`.
///
/// # Errors
/// The golden is there and cannot be read.
pub fn compare(place: &Place, text: &str) -> Result<Comparison, GoldenError> {
    Ok(match file::text(&place.golden)? {
        None => Comparison::Missing,
        Some(agreed) if agreed == file::body(text) => Comparison::Same,
        Some(agreed) => Comparison::Different { diff: text_diff::unified(&agreed, file::body(text)) },
    })
}
