//! Arguments of `attack`.

use std::path::PathBuf;

use clap::Args;
use parallax_abi::fault::Fault;

use super::cpus::cpus;
use super::fault::FaultName;
use super::form::Form;
use super::fuzz::count;
use super::number::seed;

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax attack                                     100,000 operations, about a minute
  parallax attack --seed 7 --ops 5000
  parallax attack --fault viommu_ste_unchecked --save found.trace
  parallax attack --replay 7:4711 --save until.trace  all that led to operation 4711 of seed 7

The same seed gives the same operations, the same verdict and the same digest, whatever --jobs is.

Exit status: 0 nothing found, 1 something was found, or nothing though a fault is switched on, 2 usage, 125 could not build or start, \
130 interrupted.";

/// Arguments of `attack`.
#[derive(Debug, Args)]
pub struct Attack {
    /// What decides the operations
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = seed, allow_negative_numbers = true)]
    pub seed: u64,
    /// How many operations
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = count)]
    pub ops: u64,
    /// How many CPUs [default: one and two, in turn]
    #[arg(long, value_name = "N", value_parser = cpus())]
    pub cpus: Option<u8>,
    /// How many machines at a time [default: one for each core]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Switch a fault of the hypervisor on: then something must be found, but for --replay (`parallax faults` lists them)
    #[arg(long, value_name = "NAME", value_parser = FaultName, hide_possible_values = true)]
    pub fault: Option<Fault>,
    /// Perform one machine's operations up to this one
    #[arg(long, value_name = "SEED:OP", value_parser = replay, conflicts_with_all = ["seed", "ops"])]
    pub replay: Option<(u64, u64)>,
    /// Write what was found as a trace, as short as it gets, over what is there; with --replay all that was performed
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// The form of the output
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,
}

fn replay(text: &str) -> Result<(u64, u64), String> {
    let parts = text.split_once(':').and_then(|(seed, op)| Some((self::seed(seed).ok()?, op.parse().ok()?)));
    parts
        .filter(|(_, op)| *op != 0)
        .ok_or_else(|| "expected a seed and an operation, such as 1:4711".to_owned())
}
