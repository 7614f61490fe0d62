//! Arguments of `watch`.

use std::path::PathBuf;

use clap::Args;
use parallax_engine::Mode;

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax watch traces/good/donate.trace      performs it again at each save of a source or a trace
  parallax watch traces/good                   all of them
  parallax watch --whole traces/bad/smmu_no_tlbi.trace

Exit status: 2 no such trace, 130 ended by Ctrl-C.";

/// Arguments of `watch`.
#[derive(Debug, Args)]
pub struct Watch {
    /// Traces, or folders of traces
    #[arg(value_name = "TRACE|DIR", default_value = "traces/good")]
    pub traces: Vec<PathBuf>,
    /// How many traces at a time [default: one for each core]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// How to drive the machine
    #[arg(long, value_enum, default_value_t)]
    pub mode: Mode,
    /// Build the hypervisor as `run` does, fully optimised, which takes longer
    #[arg(long)]
    pub whole: bool,
}
