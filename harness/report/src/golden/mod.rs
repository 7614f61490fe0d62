//! Goldens: the reviewed result of each trace, in insta's file form.
//!
//! `traces/good/share.trace` has its golden in `golden/good/share.snap`; a trace outside of a `traces` folder has it
//! beside itself. A result that differs is written as `share.snap.new`, which `cargo insta review` and `parallax
//! accept` find. A file is written whole or not at all.

mod file;
mod guard;
mod kinds;
mod orphans;
mod place;
mod since;
mod waiting;

use std::path::{Path, PathBuf};

pub use file::{accept, findings_in, reject, save, text};
pub use guard::{Objection, objections};
pub use kinds::Kinds;
pub use orphans::orphans;
pub use place::{Place, pending_under, trace_of};
pub use since::{Change, Since, What, since};
pub use waiting::{pending_in, pending_of_all};

use parallax_model::{Check, FindingLine, GoldenLine};

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

/// Compares `text` with the golden at `place`; without `events`, with what it holds beside findings of check 5.
///
/// # Errors
/// The golden is there and cannot be read.
pub fn compare(place: &Place, text: &str, events: bool) -> Result<Comparison, GoldenError> {
    let Some(mut agreed) = file::text(&place.golden)? else { return Ok(Comparison::Missing) };
    if !events {
        agreed = without_order(&agreed);
    }
    Ok(match file::body(text) {
        text if agreed == text => Comparison::Same,
        text => Comparison::Different { diff: text_diff::unified(&agreed, text) },
    })
}

/// Whether the golden at `place` has findings of check 5, which only a run with events can have.
///
/// # Errors
/// The golden is there and cannot be read.
pub fn needs_events(place: &Place) -> Result<bool, GoldenError> {
    Ok(file::text(&place.golden)?.is_some_and(|agreed| GoldenLine::findings(&agreed).any(is_of_order)))
}

/// A golden without findings of check 5; and without its boot, if there was nothing else to say of that.
fn without_order(agreed: &str) -> String {
    let lines = agreed.lines().map(|line| (line, GoldenLine::of(line)));
    let mut lines: Vec<_> = lines
        .filter(|(_, line)| !matches!(line, GoldenLine::Finding(finding) if is_of_order(*finding)))
        .collect();
    let boot = matches!(lines.first(), Some((_, GoldenLine::Boot)));
    if boot && !matches!(lines.get(1), Some((_, GoldenLine::Finding(_) | GoldenLine::Change(_)))) {
        lines.remove(0);
    }
    lines.into_iter().map(|(text, _)| text).collect::<Vec<_>>().join("\n")
}

/// Whether a golden's finding is about the order of events.
fn is_of_order(finding: FindingLine<'_>) -> bool {
    finding.check() == Some(Check::Protocol)
}
