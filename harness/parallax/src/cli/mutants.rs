//! Arguments of `mutants`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use parallax_fuzz::explore::Shard;

use super::explore::shard;
use super::fuzz::duration;

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax mutants --list --file 'hyp/core/src/ownership/*'
  parallax mutants --file hyp/core/src/idmap.rs                 does a trace see each change of this file?
  parallax mutants --since main                                 only in lines that differ from main's
  parallax mutants --shard 3/64 --time 40m --allow ci/mutants.txt
  parallax mutants --file hyp/core/src/idmap.rs traces/good/donate.trace

`cargo mutants` names the changes; docs/mutants.md tells what becomes of them.

Exit status: 0, or 1 when no trace sees one (with --allow: one that is not listed, or a listed one is seen).";

/// Arguments of `mutants`.
#[derive(Debug, Args)]
pub struct Mutants {
    /// Traces, or folders of traces
    #[arg(value_name = "TRACE|DIR", default_value = "traces/good")]
    pub traces: Vec<PathBuf>,
    /// Only changes in these files, such as 'hyp/core/src/its/*'; may be given again
    #[arg(long, value_name = "GLOB")]
    pub file: Vec<String>,
    /// Only changes in lines that differ from this commit's
    #[arg(long, value_name = "COMMIT")]
    pub since: Option<String>,
    /// Only every Nth, from the Ith on
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub shard: Option<Shard>,
    /// Begin no further one after this time, such as 40m or 8h
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub time: Option<Duration>,
    /// Print which there are, and try none
    #[arg(long)]
    pub list: bool,
    /// Those in this list need not be seen
    #[arg(long, value_name = "FILE")]
    pub allow: Option<PathBuf>,
    /// Write what became of each into this file, as lines of JSON
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// How many traces at a time [default: one for each core]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
}
