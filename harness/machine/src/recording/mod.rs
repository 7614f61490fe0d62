//! Recordings (`.plx`): what a run did and read, to be looked at later without QEMU.
//!
//! A recording is JSON Lines under zstd. It consists of zstd frames, so that a reader can begin in the middle:
//!
//! | frame | lines |
//! | --- | --- |
//! | first | one [`format::Header`] |
//! | then, for each [`format::KEYFRAME_EVERY`] operations | [`format::Entry`], the first of them complete |
//! | last | one [`format::Footer`] |
//!
//! Operation 0 is the boot. An entry holds what the operation was asked and answered, the registers after it and
//! the memory pages that its snapshot read, both as differences from the entry before. The same run gives the same
//! bytes. A file is written under another name and renamed when it is complete.

mod contents;
mod finding;
pub mod format;
mod limit;
mod mem;
mod reader;
mod search;
mod writer;

use std::path::PathBuf;

use crate::failure::FailureClass;
use parallax_vmsa::MemError;

pub use self::contents::Listed;
pub use self::finding::RecordedFinding;
pub use self::limit::LIMITS;
pub use self::mem::RecordingMem;
pub use self::reader::Replay;
pub use self::search::{Change, Search};
pub use self::writer::Recorder;

/// What one operation was, apart from what it did to the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operation {
    /// Its line in the trace, from 1; 0 for the boot.
    pub line: u32,
    /// The lines of those that were performed at once with it.
    pub others_at: Vec<u32>,
    /// Its text, in canonical form.
    pub text: String,
    /// What the test host was asked to do.
    pub requests: Vec<parallax_abi::mailbox::Request>,
    /// What came of it.
    pub responses: Vec<parallax_abi::mailbox::Response>,
    /// What a plugin saw of it; nothing without a plugin.
    pub events: Vec<parallax_abi::journal::Record>,
    /// What was found after it and not before.
    pub findings: Vec<RecordedFinding>,
}

impl Operation {
    /// The lines of the trace that it stands for: those of all that were performed at once.
    pub fn lines(&self) -> impl Iterator<Item = usize> {
        std::iter::once(&self.line).chain(&self.others_at).map(|line| *line as usize)
    }
}

/// How every zstd frame begins, and so every recording.
const FRAME: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();

/// Whether a file that begins with `bytes` begins as a recording does.
#[must_use]
pub fn begins(bytes: &[u8]) -> bool {
    bytes.starts_with(&FRAME)
}

/// An operation that cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file cannot be written.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// A page that was read cannot be read again.
    #[error(transparent)]
    Memory(#[from] MemError),
}

impl RecordingError {
    /// What class of failure it is.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Io { source, .. } => FailureClass::of_file(source),
            Self::Cancelled => FailureClass::Cancelled,
            _ => FailureClass::Usage,
        }
    }
}

/// A recording that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no recording, or is damaged.
    #[error("{}: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A line of the file is not what it must be.
    #[error("{}:{line}: {what}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1, counted from the beginning of the decompressed file.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// The file was written by another version of Parallax.
    #[error("{}: a recording of schema {found}; this version reads schemas {} to {}", path.display(), format::OLDEST, format::SCHEMA)]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
    },
    /// The recording holds another operation than the one that is asked for.
    #[error("{}: operation {operation} of the recording is `{text}`, not what is asked for", path.display())]
    Different {
        /// The file.
        path: PathBuf,
        /// Number of the operation.
        operation: u64,
        /// What it is.
        text: String,
    },
    /// The user cancelled the reading.
    #[error("interrupted")]
    Cancelled,
    /// There is no such operation.
    #[error("{}: there is no operation {operation}, the last one is {last}", path.display())]
    End {
        /// The file.
        path: PathBuf,
        /// The operation that was asked for.
        operation: u64,
        /// The last one.
        last: u64,
    },
}
