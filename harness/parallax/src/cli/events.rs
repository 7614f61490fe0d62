//! Arguments of `events`.

use std::path::PathBuf;

use clap::Args;

use super::run::On;

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax events traces/good/donate.trace            what each operation did, counted
  parallax events traces/good/donate.trace --op 6     every event of the operation in line 6
  parallax events --target pkvm:7.3 traces/pkvm/share.trace   on an unmodified Linux with pKVM
  parallax events donate.plx                          of a recording";

/// Arguments of `events`.
#[derive(Debug, Args)]
pub struct Events {
    /// A trace, or a recording (*.plx)
    #[arg(value_name = "TRACE|RECORDING")]
    pub source: PathBuf,
    /// List every event of the operation in this line, instead of counting
    #[arg(long, value_name = "LINE")]
    pub op: Option<usize>,
    /// What to perform a trace on: `hyp`, `pkvm`, or `pkvm:KERNEL` as `parallax run --kernel` names it
    #[arg(long, value_name = "TARGET", default_value = "hyp", value_parser = super::run::on)]
    pub target: On,
    /// The ELF file of that kernel, with DWARF: functions then come with their source lines
    #[arg(long, value_name = "FILE")]
    pub vmlinux: Option<PathBuf>,
}
