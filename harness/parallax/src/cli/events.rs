//! Arguments of `events`.

use std::path::PathBuf;

use clap::Args;

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax events traces/good/donate.trace            what each operation did, counted
  parallax events traces/good/donate.trace --op 6     every event of the operation in line 6
  parallax events donate.plx                          of a recording";

/// Arguments of `events`.
#[derive(Debug, Args)]
pub struct Events {
    /// A trace, or a recording (*.plx)
    #[arg(value_name = "TRACE|RECORDING")]
    pub source: PathBuf,
    /// List every event of the operation in this line, instead of counting
    #[arg(long, value_name = "LINE")]
    pub op: Option<usize>,
}
