//! Arguments of `explain`.

use std::path::PathBuf;

use clap::Args;
use parallax_addr::Expr;
use parallax_engine::Mode;

use super::run::On;

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax explain traces/good/donate.trace --op 4
  parallax explain traces/good/donate.trace --op 4 --ipa ram+0x20000
  parallax explain traces/good/donate.trace --op 4 --ipa 0x40020000
  parallax explain traces/bad/viommu_ste_unchecked.trace --op 9 --sid 8
  parallax explain share.plx --op 3                   a recording (parallax run TRACE --record share.plx)
  parallax explain --rev HEAD traces/good/donate.trace --op 4         on the hypervisor of a commit
  parallax explain --target pkvm:7.3 traces/pkvm/share.trace --op 7   on an unmodified Linux with pKVM

docs/explain.md shows three faults.";

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// A trace, or a recording (*.plx)
    #[arg(value_name = "TRACE|RECORDING")]
    pub source: PathBuf,
    /// Line of the operation
    #[arg(long, value_name = "LINE")]
    pub op: usize,
    /// Only entries that translate this input address, such as 0x40020000 or ram+0x20000
    #[arg(long, value_name = "ADDRESS")]
    pub ipa: Option<Expr>,
    /// Only the stream table entry of this stream, such as 8 or 0x8
    #[arg(long, value_name = "STREAM", value_parser = stream_id)]
    pub sid: Option<u32>,
    /// What to perform a trace on: `hyp`, `pkvm`, or `pkvm:KERNEL` as `parallax run --kernel` names it
    #[arg(long, value_name = "TARGET", default_value = "hyp", value_parser = super::run::on)]
    pub target: On,
    /// Perform a trace on the hypervisor of another commit, built from it
    #[arg(long, value_name = "REV", conflicts_with_all = ["target", "vmlinux"])]
    pub rev: Option<String>,
    /// How to drive the machine of a trace
    #[arg(long, value_enum, default_value_t)]
    pub mode: Mode,
    /// Change the machine of a trace, as `run --machine` does
    #[arg(long, value_name = "KEY=VALUE")]
    pub machine: Vec<String>,
    /// The ELF file of that kernel, with DWARF: functions then come with their source lines
    #[arg(long, value_name = "FILE")]
    pub vmlinux: Option<PathBuf>,
}

fn stream_id(text: &str) -> Result<u32, String> {
    let number = parallax_addr::parse_number(text).ok_or("expected a number, such as 8 or 0x8")?;
    u32::try_from(number).map_err(|_| "a StreamID has at most 32 bits".to_owned())
}
