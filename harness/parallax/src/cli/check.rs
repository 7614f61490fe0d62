//! Arguments of `check`.

use std::path::PathBuf;

use clap::Args;

use super::require::Require;

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax check harness/protocol/tests/rules/good_whole_vmid.cm
  parallax check harness/protocol/tests/rules/bad_no_tlbi.cm
  parallax check --cpu-bbm 2 events.cm                a CPU with FEAT_BBM level 2
  parallax check --require repeat-tlbi events.cm      a CPU that needs TLBI and DSB twice

docs/protocol.md explains the rules.

Exit status: 0 nothing found, 1 a rule is broken, 2 malformed file.";

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Events in Casemate's format
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// FEAT_BBM level of the CPUs, where the file does not say
    #[arg(long, value_name = "LEVEL", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    pub cpu_bbm: u8,
    /// IDR3.BBML of the SMMU, where the file does not say
    #[arg(long, value_name = "LEVEL", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    pub smmu_bbm: u8,
    /// Ask for more than the architecture does, for CPUs that need it
    #[arg(long, value_enum, value_name = "WHAT")]
    pub require: Vec<Require>,
}
