//! Arguments of `diff`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use parallax_engine::Mode;

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax diff before.plx after.plx
  parallax diff before.plx after.plx --only tables --only findings
  parallax diff traces/good/donate.trace --rev HEAD~1
  parallax diff traces/good/donate.trace --rev HEAD~1 --mode stream --machine cpus=2
  parallax diff traces/good/split_2m.trace --right smmu.map=pages --only tables --ignore block-size

Exit status: 0 the same, 1 different, 2 usage or a malformed trace, 125 could not build or start, 130 interrupted.";

/// Arguments of `diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// A trace, or a recording (*.plx)
    #[arg(value_name = "A")]
    pub left: PathBuf,
    /// Another one [default: A again, with --rev, --left or --right]
    #[arg(value_name = "B")]
    pub right: Option<PathBuf>,
    /// Compare only this; may be given several times [default: all of it]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub only: Vec<Compared>,
    /// What does not count
    #[arg(long, value_enum, value_name = "WHAT")]
    pub ignore: Vec<Ignore>,
    /// Perform trace A on the hypervisor of this revision; B is A as it is now, unless named
    #[arg(long, value_name = "REV")]
    pub rev: Option<String>,
    /// How to drive the machine of a trace
    #[arg(long, value_enum, default_value_t)]
    pub mode: Mode,
    /// Change the machine of both, as `run --machine` does
    #[arg(long, value_name = "KEY=VALUE")]
    pub machine: Vec<String>,
    /// Change the machine of trace A
    #[arg(long = "left", value_name = "KEY=VALUE")]
    pub left_machine: Vec<String>,
    /// Change the machine of trace B
    #[arg(long = "right", value_name = "KEY=VALUE")]
    pub right_machine: Vec<String>,
}

/// What of an operation is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Compared {
    /// What changed in tables, page states and registers.
    Tables,
    /// How it ended.
    Results,
    /// What the checks found after it.
    Findings,
    /// Invalidations, barriers and SMMU commands, in order.
    Events,
    /// How many instructions and stores there were at EL2.
    Counts,
}

/// What does not count in a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ignore {
    /// With what size of blocks something is mapped.
    BlockSize,
}
