//! Arguments of `bench`.

use clap::{Args, Subcommand};

use super::form::Form;
use super::linux_machine::LinuxMachine;
use super::run::On;

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax bench
  parallax bench --quick
  parallax bench --target hyp,pkvm:7.3                 the same operations on several hypervisors
  parallax bench --target pkvm:6.12,pkvm:7.3 --format json     the same for a program, kernel by kernel
  parallax bench linux --smmu-host emulated --passthrough 0

The times depend on the machine and on what else runs there; the ratios are what counts.";

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// A tenth of the operations: less exact, sooner done
    #[arg(long)]
    pub quick: bool,
    /// Measure these side by side instead: `hyp`, `pkvm`, or `pkvm:KERNEL` as `parallax run --kernel` names it
    #[arg(long, value_name = "TARGET", value_delimiter = ',', value_parser = super::run::on)]
    pub target: Vec<On>,
    /// With --format json: also how many operations a second there are, which no two runs measure alike
    #[arg(long, conflicts_with = "target")]
    pub rates: bool,
    /// The form of the output; in JSON and without --target are the instructions of operations, and no times without --rates
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,
    /// Something else.
    #[command(subcommand)]
    pub what: Option<BenchWhat>,
}
/// What else can be measured.
#[derive(Debug, Subcommand)]
pub enum BenchWhat {
    /// Boot an unmodified Linux alone and as the hypervisor's host, in turn, and compare the times
    Linux(BenchLinux),
}

/// Arguments of `bench linux`.
#[derive(Debug, Args)]
pub struct BenchLinux {
    /// The kernel and its machine.
    #[command(flatten)]
    pub machine: LinuxMachine,
    /// How many pairs of boots
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pub rounds: u16,
}
