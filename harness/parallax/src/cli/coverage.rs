//! Arguments of `coverage`.

use std::path::PathBuf;

use clap::Args;

use super::form::Form;

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax coverage                                   all traces: a table, and what is not reached
  parallax coverage traces/good/share.trace
  parallax coverage --lcov target/coverage            total.info, and one NAME.info for each trace
  parallax coverage --allow ci/uncovered.txt          only what is in this list may be missing

docs/coverage.md tells what counts.

Exit status: 0, or 1 when the list says otherwise or a trace is not in order.";

/// Arguments of `coverage`.
#[derive(Debug, Args)]
pub struct Coverage {
    /// Traces, or folders of traces
    #[arg(value_name = "TRACE|DIR", default_value = "traces")]
    pub traces: Vec<PathBuf>,
    /// Write lcov files and the summary into this folder
    #[arg(long, value_name = "DIR")]
    pub lcov: Option<PathBuf>,
    /// Compare with this list of lines that need not be reached
    #[arg(long, value_name = "FILE")]
    pub allow: Option<PathBuf>,
    /// How many traces at a time [default: one for each core]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// The form of the output
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,
}
