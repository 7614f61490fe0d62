//! Arguments of `schedules`.

use std::path::PathBuf;

use clap::Args;
use parallax_abi::fault::Fault;

use super::fault::FaultName;
use super::number::{seed, within};

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax schedules                               a hundred schedules, about a minute
  parallax schedules --seed 7 --schedules 2000
  parallax schedules --with host_share_hyp --with host_donate_hyp
  parallax schedules --fault second_fault_refused --save race.trace

What is found comes with a short schedule, as a trace that `parallax run` performs, and with the turns of both CPUs side by side.

Exit status: 0 nothing found, 1 something was found, or nothing though a fault is switched on, 2 usage, 125 could not build or start, \
130 interrupted.";

/// Arguments of `schedules`.
#[derive(Debug, Args)]
pub struct Schedules {
    /// Decides every choice
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = seed, allow_negative_numbers = true)]
    pub seed: u64,
    /// How many schedules to try, each on a machine of its own
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = within::<u64>(1..=10_000_000))]
    pub schedules: u64,
    /// Only pairs in which this operation is, by its word in traces; given twice, both
    #[arg(long, value_name = "OPERATION")]
    pub with: Vec<String>,
    /// How many machines at a time [default: one for each core]
    #[arg(long, short, value_name = "N", value_parser = within::<u16>(1..=64))]
    pub jobs: Option<u16>,
    /// Switch a fault of the hypervisor on: then something must be found (`parallax faults` lists them)
    #[arg(long, value_name = "NAME", value_parser = FaultName, hide_possible_values = true)]
    pub fault: Option<Fault>,
    /// Write the trace of what was found here, over what is there
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
}
