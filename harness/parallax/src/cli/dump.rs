//! Arguments of `dump`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax dump traces/good/share.trace --op 3 --view both
  parallax dump share.plx --view smmu
  parallax dump traces/good/share.trace --attrs";

/// Arguments of `dump`.
#[derive(Debug, Args)]
pub struct Dump {
    /// A trace, or a recording (*.plx)
    #[arg(value_name = "TRACE|RECORDING")]
    pub source: PathBuf,
    /// After which operation: its line in the trace, 0 for the boot [default: the last one]
    #[arg(long, value_name = "N")]
    pub op: Option<usize>,
    /// What to show
    #[arg(long, value_enum, default_value_t)]
    pub view: DumpView,
    /// Also show the effective memory type of an access on each side
    #[arg(long)]
    pub attrs: bool,
}

/// What a dump shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DumpView {
    /// The host's stage 2, and the SMMU.
    #[default]
    Both,
    /// The host's stage 2.
    Cpu,
    /// The SMMU: registers, stream table, stage 2.
    Smmu,
    /// The hypervisor's own stage 1.
    El2,
    /// The stage 2 of virtual machines.
    Guest,
    /// Everything, page states included.
    All,
    /// Descriptors, and the addresses of the tables that hold them.
    Raw,
}
