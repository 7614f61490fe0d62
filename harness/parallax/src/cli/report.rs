//! Arguments of `report`.

use std::path::PathBuf;

use clap::Args;

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax report donate.plx                              donate.html, one file that needs no network
  parallax report before.plx --compare after.plx -o x.html
  parallax report donate.plx --perfetto donate.json       for ui.perfetto.dev or chrome://tracing

`parallax run TRACE --record FILE.plx` makes a recording. docs/report.md shows the page.";

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct Report {
    /// A recording (*.plx)
    #[arg(value_name = "RECORDING")]
    pub recording: PathBuf,
    /// The file to write, over the report that is there; - for the standard output [default: the recording's name with .html]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// A second recording to be shown beside the first
    #[arg(long, value_name = "RECORDING")]
    pub compare: Option<PathBuf>,
    /// Write operations and events of each CPU as a Chrome trace instead, over the one that is there
    #[arg(long, value_name = "FILE", conflicts_with_all = ["output", "compare"])]
    pub perfetto: Option<PathBuf>,
}
