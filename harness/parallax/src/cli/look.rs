//! Arguments of what looks at states and recordings: `dump`, `diff`, `check`, `report`, `events`, `coverage`, `explain`, `gdb`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub(super) const DUMP_EXAMPLE: &str = "\
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
    /// Also show which memory type each side makes of an access
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
    /// Everything, page states included.
    All,
    /// Descriptors, and the addresses of the tables that hold them.
    Raw,
}

pub(super) const DIFF_EXAMPLE: &str = "\
Examples:
  parallax diff before.plx after.plx
  parallax diff traces/good/split_2m.trace --right smmu.map=pages --ignore block-size

Exit status: 0 the same, 1 different.";

/// Arguments of `diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// A trace, or a recording (*.plx)
    #[arg(value_name = "A")]
    pub left: PathBuf,
    /// Another one [default: A again, for another machine]
    #[arg(value_name = "B")]
    pub right: Option<PathBuf>,
    /// What does not count
    #[arg(long, value_enum, value_name = "WHAT")]
    pub ignore: Vec<Ignore>,
    /// Change the machine of trace A
    #[arg(long = "left", value_name = "KEY=VALUE")]
    pub left_machine: Vec<String>,
    /// Change the machine of trace B
    #[arg(long = "right", value_name = "KEY=VALUE")]
    pub right_machine: Vec<String>,
}

/// What does not count in a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ignore {
    /// With what size of blocks something is mapped.
    BlockSize,
}

pub(super) const CHECK_EXAMPLE: &str = "\
Examples:
  parallax check harness/protocol/tests/rules/good_whole_vmid.cm
  parallax check harness/protocol/tests/rules/bad_no_tlbi.cm
  parallax check --cpu-bbm 2 events.cm                a CPU with FEAT_BBM level 2

docs/protocol.md explains the rules.

Exit status: 0 nothing found, 1 a rule is broken, 2 malformed file.";

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Events in Casemate's format
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// FEAT_BBM level of the CPUs, where the file does not tell
    #[arg(long, value_name = "LEVEL", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    pub cpu_bbm: u8,
    /// IDR3.BBML of the SMMU, where the file does not tell
    #[arg(long, value_name = "LEVEL", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    pub smmu_bbm: u8,
}

pub(super) const REPORT_EXAMPLE: &str = "\
Examples:
  parallax report donate.plx                              donate.html, one file that needs no network
  parallax report before.plx --compare after.plx -o x.html
  parallax report donate.plx --perfetto donate.json       for ui.perfetto.dev or chrome://tracing

`parallax run TRACE --record FILE.plx` makes a recording. docs/report.md shows the page.";

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct Report {
    /// A recording (*.plx)
    #[arg(value_name = "RECORDING")]
    pub recording: PathBuf,
    /// The file to write, - for the standard output [default: the recording's name with .html]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// A second recording to be shown beside the first
    #[arg(long, value_name = "RECORDING")]
    pub compare: Option<PathBuf>,
    /// Write operations and events of each CPU as a Chrome trace instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["output", "compare"])]
    pub perfetto: Option<PathBuf>,
}

pub(super) const EVENTS_EXAMPLE: &str = "\
Examples:
  parallax events traces/good/donate.trace            what each operation did, counted
  parallax events traces/good/donate.trace --op 6     every event of the operation in line 6";

/// Arguments of `events`.
#[derive(Debug, Args)]
pub struct Events {
    /// The trace to perform
    #[arg(value_name = "TRACE")]
    pub trace: PathBuf,
    /// List every event of the operation in this line, instead of counting
    #[arg(long, value_name = "LINE")]
    pub op: Option<usize>,
}

pub(super) const COVERAGE_EXAMPLE: &str = "\
Examples:
  parallax coverage                                   all traces: a table, and what is not reached
  parallax coverage traces/good/share.trace
  parallax coverage --lcov target/coverage            total.info, and one NAME.info for each trace
  parallax coverage --allow ci/uncovered.txt          only what is in this list may be missing

docs/coverage.md tells what counts.

Exit status: 0, or 1 when the list says otherwise or a trace is not in order.";

/// Arguments of `coverage`.
#[derive(Debug, Args)]
pub struct Coverage {
    /// Traces, or folders of traces
    #[arg(value_name = "TRACE|DIR", default_value = "traces")]
    pub traces: Vec<PathBuf>,
    /// Write lcov files and the summary into this folder
    #[arg(long, value_name = "DIR")]
    pub lcov: Option<PathBuf>,
    /// Compare with this list of lines that need not be reached
    #[arg(long, value_name = "FILE")]
    pub allow: Option<PathBuf>,
    /// How many traces at a time [default: one for each core]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
}

pub(super) const EXPLAIN_EXAMPLE: &str = "\
Examples:
  parallax explain traces/good/donate.trace --op 4
  parallax explain traces/good/donate.trace --op 4 --ipa 0x40020000
  parallax explain traces/bad/emul_ste_unchecked.trace --op 9 --sid 8
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

pub(super) const GDB_EXAMPLE: &str = "\
Examples:
  parallax gdb traces/good/donate.trace       boots it; continue in gdb performs the operations
  parallax gdb donate.plx --port 0            a recording; reverse-continue goes back
  parallax gdb --print-gdbinit                commands that load symbols and printers

docs/gdb.md shows a session. `monitor help` in gdb lists what else there is.";

/// Arguments of `gdb`.
#[derive(Debug, Args)]
pub struct Gdb {
    /// A trace, or a recording (*.plx)
    #[arg(value_name = "TRACE|RECORDING", required_unless_present = "print_gdbinit")]
    pub source: Option<PathBuf>,
    /// Port of this machine to listen at; 0 takes one that is free
    #[arg(long, value_name = "N", default_value_t = 1234)]
    pub port: u16,
    /// Listen at a unix socket instead
    #[arg(long, value_name = "PATH", conflicts_with = "port")]
    pub socket: Option<PathBuf>,
    /// End when the first client is gone
    #[arg(long)]
    pub once: bool,
    /// Print gdb commands that load the hypervisor's symbols, the test host's and the printers, and end
    #[arg(long, conflicts_with = "source")]
    pub print_gdbinit: bool,
}

fn hexadecimal(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).map_err(|error| error.to_string())
}
