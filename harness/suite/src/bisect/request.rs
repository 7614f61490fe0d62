//! What to search for.

use std::path::PathBuf;

use parallax_engine::Mode;

use super::criterion::Criterion;

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
    pub by: Criterion,
    /// How to drive its machine.
    pub mode: Mode,
    /// What its machine has in place of what the trace says, `key=value` each.
    pub machine: Vec<String>,
    /// Leave the worktrees of the revisions that were built.
    pub keep: bool,
}

impl Request {
    /// The arguments of `run` and `explain` that say on what the trace is performed, and how.
    pub(super) fn words(&self) -> Vec<&str> {
        let mode = (self.mode == Mode::Stream).then_some(["--mode", "stream"]);
        let machine = self.machine.iter().flat_map(|keys| ["--machine", keys]);
        mode.into_iter().flatten().chain(machine).collect()
    }
}
