//! Arguments of `explain`.

use std::path::PathBuf;

use clap::Args;

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax explain traces/good/donate.trace --op 4
  parallax explain traces/good/donate.trace --op 4 --ipa 0x40020000
  parallax explain traces/bad/viommu_ste_unchecked.trace --op 9 --sid 8
  parallax explain share.plx --op 3                   a recording (parallax run TRACE --record share.plx)

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
    /// Only entries that translate this input address (hexadecimal)
    #[arg(long, value_name = "ADDRESS", value_parser = hexadecimal)]
    pub ipa: Option<u64>,
    /// Only the stream table entry of this stream (hexadecimal)
    #[arg(long, value_name = "STREAM", value_parser = stream_id)]
    pub sid: Option<u32>,
}

fn stream_id(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).map_err(|error| error.to_string())
}

fn hexadecimal(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).map_err(|error| error.to_string())
}
