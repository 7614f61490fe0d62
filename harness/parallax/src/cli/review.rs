//! Arguments of `review`.

use std::path::PathBuf;

use clap::Args;

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax review                     everything that waits under golden/
  parallax review traces/good
  parallax review --list              what waits, for a script

Exit status: 0 nothing waits any more, 1 something does, 2 no terminal, 130 left without a change.";

/// Arguments of `review`.
#[derive(Debug, Args)]
pub struct Review {
    /// Traces, pending goldens (*.snap.new), or folders of either [default: all of the project]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Only list what waits, and what kinds of lines differ
    #[arg(long)]
    pub list: bool,
}
