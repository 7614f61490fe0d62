//! Arguments of `accept`.

use std::path::PathBuf;

use clap::Args;

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax accept                             everything that waits under golden/
  parallax accept traces/good/share.trace     the result of one trace

To go through them one by one: parallax review, or cargo insta review";

/// Arguments of `accept`.
#[derive(Debug, Args)]
pub struct Accept {
    /// Traces, pending goldens (*.snap.new), or folders of either [default: all of the project]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Also take results that hold findings, outside of folders named bad
    #[arg(long)]
    pub even_with_findings: bool,
}
