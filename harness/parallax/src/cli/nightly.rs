//! Arguments of `nightly`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use parallax_nightly::plan::Partition;

use super::form::Form;

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax nightly run --short                        a part of each, about ten minutes on two cores
  parallax nightly merge part1 part2 part3 part4      one night of its parts
  parallax nightly page                               write the page of the history again
  parallax nightly history

`ci/nightly` sets the machine up, fetches kernels and builds before a night; docs/nightly.md tells
what runs.

Exit status: 0 in order (a flaky run is no error, but is listed), 1 something is not, 2 usage,
125 it is not built, or another night is at work in the same DIR, 130 interrupted, 143 terminated.";

const RUN_EXAMPLE: &str = "\
Examples:
  parallax nightly run                                all of it: hours
  parallax nightly run --short
  parallax nightly run --partition 2/4 --results part2

All QEMUs that are found are used: on PATH and below target/tools, or those in the folders that
PARALLAX_QEMUS names (with colons between) and no others.

Exit status: 0 in order (a flaky run is no error, but is listed), 1 something is not, 2 usage,
125 it is not built, or another night is at work in the same DIR, 130 interrupted, 143 terminated.";

const MERGE_EXAMPLE: &str = "\
Examples:
  parallax nightly merge part1 part2 part3 part4
  parallax nightly merge parts/1 parts/2 --results whole

Exit status: 0 in order, 1 something is not, or a part is missing or did not get to its end,
2 not the parts of one night, 125 another night is at work in the same DIR.";

const PAGE_EXAMPLE: &str = "\
Examples:
  parallax nightly page
  parallax nightly page --results whole

Exit status: 0, or 2 where there is no history.";

const HISTORY_EXAMPLE: &str = "\
Examples:
  parallax nightly history
  parallax nightly history --format json > nights.jsonl
  parallax nightly history --import nights.jsonl --results copy

`parallax schema night` prints the form of a line.

Exit status: 0, or 2 where there is no history, or a line is no night.";

/// Arguments of `nightly`.
#[derive(Debug, Args)]
pub struct Nightly {
    /// What to do.
    #[command(subcommand)]
    pub what: NightlyWhat,
}

/// What to do with nights.
#[derive(Debug, Subcommand)]
pub enum NightlyWhat {
    /// Run every trace on every machine, every switchable fault, hostile hosts, Linux
    #[command(after_help = RUN_EXAMPLE)]
    Run(NightlyRun),
    /// Put the parts of a night together, each in a DIR of its own; runs nothing
    #[command(after_help = MERGE_EXAMPLE)]
    Merge(NightlyMerge),
    /// Write the page of the history again
    #[command(after_help = PAGE_EXAMPLE)]
    Page(NightlyPage),
    /// Print the nights and what was measured in them
    #[command(after_help = HISTORY_EXAMPLE)]
    History(NightlyHistory),
}

/// Arguments of `nightly run`.
#[derive(Debug, Args)]
pub struct NightlyRun {
    /// A part of each, about ten minutes on two cores
    #[arg(long)]
    pub short: bool,
    /// Where the history is and the page goes [default: target/nightly]
    #[arg(long, value_name = "DIR")]
    pub results: Option<PathBuf>,
    /// Do every Nth piece of work only, from the Ith on: the N parts together are the night
    #[arg(long, value_name = "I/N", default_value_t = Partition::WHOLE)]
    pub partition: Partition,
}

/// Arguments of `nightly merge`.
#[derive(Debug, Args)]
pub struct NightlyMerge {
    /// The histories of the parts
    #[arg(value_name = "DIR", required = true)]
    pub parts: Vec<PathBuf>,
    /// Where the whole night goes [default: target/nightly]
    #[arg(long, value_name = "DIR")]
    pub results: Option<PathBuf>,
}

/// Arguments of `nightly page`.
#[derive(Debug, Args)]
pub struct NightlyPage {
    /// Where the history is [default: target/nightly]
    #[arg(long, value_name = "DIR")]
    pub results: Option<PathBuf>,
}

/// Arguments of `nightly history`.
#[derive(Debug, Args)]
pub struct NightlyHistory {
    /// Where the history is [default: target/nightly]
    #[arg(long, value_name = "DIR")]
    pub results: Option<PathBuf>,
    /// The form of the output; in JSON a line is a night
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,
    /// Add the nights of such lines to the history first, and write its page
    #[arg(long, value_name = "FILE")]
    pub import: Option<PathBuf>,
}
