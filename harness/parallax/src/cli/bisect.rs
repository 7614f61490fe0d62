//! Arguments of `bisect`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use parallax_engine::Mode;
use parallax_suite::bisect::Criterion;

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax bisect --good v0.1 --trace traces/good/donate.trace
  parallax bisect --good v0.1 --bad main --trace traces/good/donate.trace --by golden
  parallax bisect --good v0.1 --trace traces/good/donate.trace --mode stream --machine cpus=2
  parallax bisect --good v0.1 --trace traces/good/split_2m.trace --format markdown > report.md
  parallax bisect --kernels target/linux --trace traces/pkvm/el2_page.trace    the pKVM of several Linuxes
  parallax bisect --kernels target/linux --trace traces/pkvm/el2_page.trace --only results
  parallax bisect --kernel-cmd ./build-kernel --kernel-names 1..64 --trace traces/pkvm/el2_page.trace

The hypervisor and the test host are those of each revision; the harness is this one. docs/bisect.md shows a report.
Without it: git bisect run parallax run --no-golden TRACE

Exit status: 0 found, 1 only narrowed down, 2 usage, 125 an end of the range could not be built or started.";

/// Arguments of `bisect`.
#[derive(Debug, Args)]
pub struct Bisect {
    /// A revision in which the trace is in order
    #[arg(long, value_name = "REV", required_unless_present_any = ["kernels", "kernel_cmd"])]
    pub good: Option<String>,
    /// A revision in which it is not; it must descend from the good one
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    pub bad: String,
    /// The trace to perform, as it is in the working tree
    #[arg(long, value_name = "TRACE")]
    pub trace: PathBuf,
    /// What makes a revision bad
    #[arg(long, value_enum, default_value_t)]
    pub by: Criterion,
    /// How to drive the machine
    #[arg(long, value_enum, default_value_t)]
    pub mode: Mode,
    /// Change the machine of the trace, as `run --machine` does
    #[arg(long, value_name = "KEY=VALUE")]
    pub machine: Vec<String>,
    /// In place of revisions: kernels with pKVM, each in a folder of its own below this one, as ci/fetch-linux makes them. They are tried in
    /// the order of their versions; bad is what does not behave as the first
    #[arg(long, value_name = "DIR", conflicts_with_all = ["good", "bad", "by", "mode", "machine", "keep"])]
    pub kernels: Option<PathBuf>,
    /// The same, of kernels that a shell command makes when they are asked for: it gets the name of one in PARALLAX_KERNEL, and the
    /// last line that it prints is that of an Image, or of a folder of target/linux. Exit status 125 skips one, any other but 0 ends the search
    #[arg(long, value_name = "CMD", requires = "kernel_names", conflicts_with_all = ["good", "bad", "by", "mode", "machine", "keep", "kernels"])]
    pub kernel_cmd: Option<String>,
    /// Their names in order, `,` between: commits, versions, or numbers as `1..64`
    #[arg(long, value_name = "NAMES", requires = "kernel_cmd", value_delimiter = ',')]
    pub kernel_names: Vec<String>,
    /// Of kernels, compare only how each operation ended, and how the run ended (a panic or a hang is how it ended) [default: also the
    /// pages that the trace names and the rules that are broken, boot included]
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with_all = ["good", "bad"])]
    pub only: Option<Only>,
    /// The form of the output
    #[arg(long, value_enum, default_value_t)]
    pub format: BisectFormat,
    /// Keep the worktrees of the revisions that were built
    #[arg(long)]
    pub keep: bool,
}

/// What of kernels is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Only {
    /// How each operation ended, and how the run ended.
    Results,
}

/// The form of a bisection's report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum BisectFormat {
    /// For a person.
    #[default]
    Human,
    /// For a comment or a ticket.
    Markdown,
    /// One JSON object.
    Json,
}
