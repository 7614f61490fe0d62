//! Arguments of what keeps the house: `build`, `faults`, `doctor`, `schema`, `completions`, `man`.

use std::path::PathBuf;

use clap::Args;
use parallax_abi::fault::Fault;
use parallax_fuzz::fuzz::USUAL_OPS;

use super::fault::FaultName;
use super::number::{seed, within};

pub(crate) const BUILD_EXAMPLE: &str = "\
Examples:
  parallax build
  parallax build --faults --clippy";

/// Arguments of `build`.
#[derive(Debug, Args)]
pub struct Build {
    /// With the switchable faults
    #[arg(long)]
    pub faults: bool,
    /// Run clippy on it as well (and on the QEMU plugin, without `--faults`); warnings are errors
    #[arg(long)]
    pub clippy: bool,
}

pub(crate) const FAULTS_EXAMPLE: &str = "\
Examples:
  parallax faults
  parallax faults traces/bad
  parallax faults --score --fault smmu_no_tlbi --attack-ops 2000 --fuzz-ops 2000

Exit status: 0, or 1 when no trace catches one of the faults; with --score when nothing does, `fuzz` neither finds one nor \
has the reason on its list, or something is found without a fault. 2 usage, 125 could not build or start, 130 interrupted.";

/// Arguments of `faults`.
#[derive(Debug, Args)]
pub struct Faults {
    /// Traces, or folders of traces
    #[arg(value_name = "TRACE|DIR", default_value = "traces/bad")]
    pub traces: Vec<PathBuf>,
    /// Try each fault: its trace with each check, `explore`, `explore --smmu`, `attack`, `fuzz`; and all of them with no fault (half an hour)
    #[arg(long)]
    pub score: bool,
    /// With --score: only this one; may be given several times
    #[arg(long = "fault", value_name = "NAME", value_parser = FaultName, hide_possible_values = true, requires = "score")]
    pub faults: Vec<Fault>,
    /// With --score: operations of each attack; 0 for none
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = within::<u64>(0..=10_000_000), requires = "score")]
    pub attack_ops: u64,
    /// With --score: operations of `fuzz` for each fault; 0 for none. With 100,000 or more, a fault that it does not find must be on its list
    #[arg(long, value_name = "N", default_value_t = USUAL_OPS, value_parser = within::<u64>(0..=10_000_000), requires = "score")]
    pub fuzz_ops: u64,
    /// With --score: seed of each attack and of `fuzz`
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = seed, allow_negative_numbers = true, requires = "score")]
    pub seed: u64,
    /// With --score: how many machines at a time [default: one for each core]
    #[arg(long, short, value_name = "N", value_parser = within::<u16>(1..=64), requires = "score")]
    pub jobs: Option<u16>,
}

pub(crate) const DOCTOR_EXAMPLE: &str = "\
Examples:
  parallax doctor
  parallax doctor --fix                    runs the commands that mend it, after a question for each
  parallax doctor --fix --yes              without a question

Exit status: 0 ready, 125 something is missing.";

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Also try to build the hypervisor
    #[arg(long)]
    pub build: bool,
    /// Run the commands that mend what is missing, and look again
    #[arg(long)]
    pub fix: bool,
    /// Ask nothing before a command is run
    #[arg(long, short, requires = "fix")]
    pub yes: bool,
}

pub(crate) const SCHEMA_EXAMPLE: &str = "\
Examples:
  parallax schema                          what there is, and its version
  parallax schema run > run.schema.json

Every document names itself and its version in `document` and `schema`; docs/exports.md says when the version is raised.";

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub struct Schema {
    /// Which one [default: list them]
    #[arg(value_name = "NAME", value_parser = schema_name())]
    pub name: Option<String>,
}

fn schema_name() -> clap::builder::PossibleValuesParser {
    crate::schema::ALL.iter().map(|published| published.name).collect::<Vec<_>>().into()
}

pub(crate) const COMPLETIONS_EXAMPLE: &str = "\
Examples:
  parallax completions bash > ~/.local/share/bash-completion/completions/parallax
  parallax completions fish > ~/.config/fish/completions/parallax.fish
  parallax completions zsh > _parallax     in a folder of $fpath";

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// For which shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

pub(crate) const MAN_EXAMPLE: &str = "\
Examples:
  parallax man > parallax.1
  parallax man ~/.local/share/man/man1     a page for each subcommand";

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct Man {
    /// Where to write a page for each subcommand [default: print the page of the command itself]
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
}
