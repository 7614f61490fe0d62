//! What to search for.

use std::path::PathBuf;

use super::mode::BisectMode;

/// What to search for.
#[derive(Clone, Debug)]
pub struct Request {
    /// A revision in which the trace is in order.
    pub good: String,
    /// A revision in which it is not, and which descends from the good one.
    pub bad: String,
    /// The trace, in the working tree.
    pub trace: PathBuf,
    /// What makes a revision bad.
    pub mode: BisectMode,
    /// Leave the worktrees of the revisions that were built.
    pub keep: bool,
}
