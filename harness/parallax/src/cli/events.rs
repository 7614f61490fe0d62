//! Arguments of `events`.

use std::path::PathBuf;

use clap::Args;

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax events traces/good/donate.trace            what each operation did, counted
  parallax events traces/good/donate.trace --op 6     every event of the operation in line 6";

/// Arguments of `events`.
#[derive(Debug, Args)]
pub struct Events {
    /// The trace to perform
    #[arg(value_name = "TRACE")]
    pub trace: PathBuf,
    /// List every event of the operation in this line, instead of counting
    #[arg(long, value_name = "LINE")]
    pub op: Option<usize>,
}
