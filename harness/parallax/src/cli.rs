//! The command line.

mod bisect;

use std::ffi::OsString;
use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use clap::builder::Styles;
use clap::{Args, Parser, Subcommand, ValueEnum};

use parallax_abi::fault::Fault;
use parallax_machine::SmmuMode;
use parallax_machine::config::HostView;

use crate::report::Format;

pub use self::bisect::{Bisect, BisectFormat, BisectMode};

/// How the word `error:` looks.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXIT_STATUS: &str = "\
Exit status: 0 as agreed, 1 diverged or a check failed, 2 usage or malformed input,
125 could not build or boot, 130 interrupted.";

/// Watches one memory from two sides: the CPU's stage-2 tables and the SMMU's.
#[derive(Debug, Parser)]
#[command(name = "parallax", version, styles = STYLES, max_term_width = 110, after_help = EXIT_STATUS)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Perform traces, check every state, and compare with the goldens
    #[command(after_help = RUN_EXAMPLE)]
    Run(Run),
    /// Take results that differ from their goldens
    #[command(after_help = ACCEPT_EXAMPLE)]
    Accept(Accept),
    /// Go through results that wait for a review, old and new side by side, in a terminal
    #[command(after_help = REVIEW_EXAMPLE)]
    Review(Review),
    /// Find the commit that broke a trace, then the operation, the entry and the store
    #[command(after_help = bisect::EXAMPLE)]
    Bisect(Bisect),
    /// Let a hostile host attack the hypervisor: random operations from a seed, all states checked
    #[command(after_help = ATTACK_EXAMPLE)]
    Attack(Attack),
    /// Show the tables of both sides after an operation
    #[command(after_help = DUMP_EXAMPLE)]
    Dump(Dump),
    /// Compare what two traces or recordings did
    #[command(after_help = DIFF_EXAMPLE)]
    Diff(Diff),
    /// Judge the order of events in a Casemate file
    #[command(after_help = CHECK_EXAMPLE)]
    Check(Check),
    /// Tell what the hypervisor did during each operation: stores, invalidations, barriers, instructions
    #[command(after_help = EVENTS_EXAMPLE)]
    Events(Events),
    /// Tell which stores of an operation changed tables, from where in the source, and what invalidation followed
    #[command(after_help = EXPLAIN_EXAMPLE)]
    Explain(Explain),
    /// Tell which lines of the hypervisor no trace reaches
    #[command(after_help = COVERAGE_EXAMPLE)]
    Coverage(Coverage),
    /// Serve gdb: a trace that is performed, or a recording that also goes back
    #[command(after_help = GDB_EXAMPLE)]
    Gdb(Gdb),
    /// Write a recording as a page that opens from disk, or as a trace for Perfetto
    #[command(after_help = REPORT_EXAMPLE)]
    Report(Report),
    /// Build the hypervisor and the test host
    #[command(after_help = BUILD_EXAMPLE)]
    Build(Build),
    /// List the faults that can be switched on, and the traces that catch them
    #[command(after_help = FAULTS_EXAMPLE)]
    Faults(Faults),
    /// Run an unmodified Linux as the hypervisor's host, with disks and a network behind the SMMU
    #[command(after_help = LINUX_EXAMPLE)]
    Linux(Linux),
    /// Measure how fast it is, as ratios within one run
    #[command(after_help = BENCH_EXAMPLE)]
    Bench(Bench),
    /// Tell what is missing on this machine, and the command that mends it
    #[command(after_help = DOCTOR_EXAMPLE)]
    Doctor(Doctor),
    /// Print what a shell needs to complete this command
    #[command(after_help = COMPLETIONS_EXAMPLE)]
    Completions(Completions),
    /// Print the manual page, or write those of all subcommands
    #[command(after_help = MAN_EXAMPLE)]
    Man(Man),
}

const RUN_EXAMPLE: &str = "\
Examples:
  parallax run                                        every trace under traces/
  parallax run traces/good --jobs 4
  parallax run traces/good/share.trace --record share.plx
  parallax run traces/good/share.trace --export casemate share.cm
  parallax run --format junit > results.xml
  parallax run traces/bad --without-faults            the same operations on a hypervisor in order
  parallax run --repeat 20 traces/good/dma.trace      twenty times the same bytes
  parallax run --machine cpus=2 --machine smmu.map=pages
  parallax run --partition 2/5                        every fifth trace from the second on

Exit status: 0 as agreed, 1 diverged or a check failed, 2 malformed trace, 125 could not build or boot.";

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Traces, or folders of traces
    #[arg(value_name = "TRACE|DIR", default_value = "traces")]
    pub traces: Vec<PathBuf>,
    /// How many traces at a time [default: one for each core]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// How to tell the results
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Record the run of a single trace
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Write the events of a single trace in a form that `parallax check` reads: casemate
    #[arg(long, num_args = 2, value_names = ["FORMAT", "FILE"], conflicts_with = "without_events")]
    pub export: Vec<OsString>,
    /// How to drive the machine
    #[arg(long, value_enum, default_value_t)]
    pub mode: Mode,
    /// What to run on
    #[arg(long, value_enum, default_value_t)]
    pub target: Target,
    /// Take results that differ as the new goldens
    #[arg(long, conflicts_with = "no_golden")]
    pub accept: bool,
    /// Check only; compare with no golden
    #[arg(long)]
    pub no_golden: bool,
    /// Leave the faults of bad traces switched off: nothing may be found then. Compares with no golden
    #[arg(long, conflicts_with = "accept")]
    pub without_faults: bool,
    /// Do without the QEMU plugin, and so without check 5, the order of events; only in mode `step`
    #[arg(long, conflicts_with = "accept")]
    pub without_events: bool,
    /// Run each trace N times; every run must give the same result and recording, byte for byte
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub repeat: u16,
    /// Change the machine of every trace. Traces that do not fit it (an operation on a CPU that is not there) are left
    /// out; nothing is compared with goldens, which are those of the traces' own machines
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "accept")]
    pub machine: Vec<String>,
    /// Run part I of N equal parts of the traces: every Nth, from the Ith on
    #[arg(long, value_name = "I/N", value_parser = partition)]
    pub partition: Option<(usize, usize)>,
}

/// `2/5`.
fn partition(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
    parts
        .filter(|(part, of)| (1..=*of).contains(part))
        .ok_or_else(|| "expected a part and how many there are, such as 1/3".to_owned())
}

/// How to drive the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Stop after every operation.
    #[default]
    Step,
    /// Stop after many operations; what each did is read from the plugin's journal.
    Stream,
}

/// What to run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// The hypervisor of this project.
    #[default]
    Hyp,
}

const ACCEPT_EXAMPLE: &str = "\
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

const REVIEW_EXAMPLE: &str = "\
Examples:
  parallax review                     everything that waits under golden/
  parallax review traces/good
  parallax review --list              what waits, for a script

Exit status: 0 nothing waits any more, 1 something does, 2 no terminal, 130 left without a change.";

/// Arguments of `review`.
#[derive(Debug, Args)]
pub struct Review {
    /// Traces, pending goldens (*.snap.new), or folders of either [default: all of the project]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Only tell what waits, and what kinds of lines differ
    #[arg(long)]
    pub list: bool,
}

const ATTACK_EXAMPLE: &str = "\
Examples:
  parallax attack                                     100,000 operations, about a minute
  parallax attack --seed 7 --ops 5000
  parallax attack --fault emul_ste_unchecked --save found.trace
  parallax attack --replay 7:4711 --save until.trace  all that led to operation 4711 of seed 7

The same seed gives the same operations, the same verdict and the same digest, whatever --jobs is.

Exit status: 0 nothing found, 1 something was found, 125 could not build or boot.";

/// Arguments of `attack`.
#[derive(Debug, Args)]
pub struct Attack {
    /// What decides the operations
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How many operations
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub ops: u64,
    /// How many CPUs [default: one and two, in turn]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=8))]
    pub cpus: Option<u8>,
    /// How many machines at a time [default: one for each core]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Switch a fault of the hypervisor on: then something must be found (`parallax faults` lists them)
    #[arg(long, value_name = "NAME", value_parser = fault)]
    pub fault: Option<Fault>,
    /// Perform one machine's operations up to this one
    #[arg(long, value_name = "SEED:OP", value_parser = replay, conflicts_with_all = ["seed", "ops"])]
    pub replay: Option<(u64, u64)>,
    /// Write what was found as a trace, as short as it gets; with --replay all that was performed
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
}

fn replay(text: &str) -> Result<(u64, u64), String> {
    let parts = text.split_once(':').and_then(|(seed, op)| Some((seed.parse().ok()?, op.parse().ok()?)));
    parts
        .filter(|(_, op)| *op != 0)
        .ok_or_else(|| "expected a seed and an operation, such as 1:4711".to_owned())
}

const DUMP_EXAMPLE: &str = "\
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

const DIFF_EXAMPLE: &str = "\
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

const CHECK_EXAMPLE: &str = "\
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

const REPORT_EXAMPLE: &str = "\
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
    /// The file to write [default: the recording's name with .html]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// A second recording to be shown beside the first
    #[arg(long, value_name = "RECORDING")]
    pub compare: Option<PathBuf>,
    /// Write operations and events of each CPU as a Chrome trace instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["output", "compare"])]
    pub perfetto: Option<PathBuf>,
}

const BUILD_EXAMPLE: &str = "\
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

const EVENTS_EXAMPLE: &str = "\
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

const COVERAGE_EXAMPLE: &str = "\
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

const EXPLAIN_EXAMPLE: &str = "\
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

const GDB_EXAMPLE: &str = "\
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

const FAULTS_EXAMPLE: &str = "\
Examples:
  parallax faults
  parallax faults traces/bad

Exit status: 0, or 1 when no trace catches one of the faults.";

/// Arguments of `faults`.
#[derive(Debug, Args)]
pub struct Faults {
    /// Traces, or folders of traces
    #[arg(value_name = "TRACE|DIR", default_value = "traces/bad")]
    pub traces: Vec<PathBuf>,
}

const LINUX_EXAMPLE: &str = "\
Examples:
  parallax linux                                the kernel that ci/setup --linux fetches
  parallax linux --cpus 4 --io 64 --every 50
  parallax linux --cpus 4 --events              also judge the order of all that the hypervisor does
  parallax linux --kernel Image --initrd initrd.cpio --append quiet --verbose

Exit status: 0 all went well, 1 the guest failed or a check did, 125 could not build or boot.";

/// Arguments of `linux`.
#[derive(Debug, Args)]
pub struct Linux {
    /// The kernel and its machine.
    #[command(flatten)]
    pub machine: LinuxMachine,
    /// An initramfs of your own, which must switch the machine off [default: one that tests disks and network]
    #[arg(long, value_name = "FILE")]
    pub initrd: Option<PathBuf>,
    /// Switch a fault of the hypervisor on: then the checks must find something (`parallax faults` lists them)
    #[arg(long, value_name = "NAME", value_parser = fault, conflicts_with = "bare")]
    pub fault: Option<Fault>,
    /// Without the hypervisor, at EL1 of a machine without EL2
    #[arg(long)]
    pub bare: bool,
    /// Judge the order of all that the hypervisor does, too, with the QEMU plugin; the CPUs take turns then
    #[arg(long, conflicts_with = "bare")]
    pub events: bool,
    /// Stop and check all tables so often, in milliseconds of wall time; 0 for never
    #[arg(long, value_name = "MS", default_value_t = 100)]
    pub every: u32,
    /// Also whenever a CPU comes to SYMBOL: a function of the hypervisor, an address (0x...), or, once the guest is in
    /// userspace, a symbol of the kernel. Again and again; SIGUSR1 asks for one look
    #[arg(long, value_name = "SYMBOL", conflicts_with = "bare")]
    pub at: Vec<String>,
    /// Also when the console shows TEXT
    #[arg(long, value_name = "TEXT", conflicts_with = "bare")]
    pub at_console: Vec<String>,
    /// Show the SMMU as the kernel sees it beside the hardware, at each look by --at, --at-console and SIGUSR1
    #[arg(long)]
    pub views: bool,
    /// Count the kernel's commands to its emulated SMMU, and what became of them
    #[arg(long, conflicts_with = "bare")]
    pub commands: bool,
    /// Operations of the hypervisor beside the guest's work: so many times, a page is lent, given away and taken back,
    /// and a device writes to it
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with_all = ["bare", "initrd"])]
    pub operations: u32,
    /// Show the whole console
    #[arg(long, short)]
    pub verbose: bool,
}

/// A Linux and the machine that it runs on.
#[derive(Debug, Args)]
pub struct LinuxMachine {
    /// An arm64 Image, not compressed [default: target/linux/Image]
    #[arg(long, value_name = "IMAGE")]
    pub kernel: Option<PathBuf>,
    /// More for the kernel's command line
    #[arg(long, value_name = "WORDS")]
    pub append: Option<String>,
    /// How many CPUs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub cpus: u8,
    /// How much RAM, such as 768M or 2G
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = memory_size)]
    pub mem: u64,
    /// How much data to write to each disk and to read back, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub io: u16,
    /// The kernel's iommu.passthrough, where it has an SMMU: 0 translates, 1 does not
    #[arg(long, value_name = "0|1", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=1))]
    pub passthrough: u8,
    /// How the hypervisor uses the SMMU: shadow, shared or off (then it is the kernel's)
    #[arg(long, value_name = "MODE", default_value = "shadow", value_parser = smmu_mode)]
    pub smmu: SmmuMode,
    /// What the kernel sees of an SMMU that the hypervisor uses: hidden or emulated
    #[arg(long, value_name = "VIEW", default_value = "hidden", value_parser = smmu_host)]
    pub smmu_host: HostView,
    /// Give up after so long, in seconds
    #[arg(long, value_name = "S", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    pub timeout: u32,
}

/// The least RAM for a Linux: its image is loaded 256 MiB behind the start.
const LINUX_RAM: u64 = 512 << 20;

fn memory_size(text: &str) -> Result<u64, String> {
    let (number, shift) = match text.strip_suffix('G') {
        Some(number) => (number, 30),
        None => (text.strip_suffix('M').unwrap_or(text), 20),
    };
    let number = number.parse::<u32>().map_err(|_| "expected a size such as 768M or 2G".to_owned())?;
    let size = u64::from(number) << shift;
    if size >= LINUX_RAM { Ok(size) } else { Err("a Linux needs at least 512M".to_owned()) }
}

fn fault(text: &str) -> Result<Fault, String> {
    Fault::from_name(text).ok_or_else(|| "no such fault".to_owned())
}

fn smmu_host(text: &str) -> Result<HostView, String> {
    HostView::from_name(text).ok_or_else(|| "expected hidden or emulated".to_owned())
}

fn smmu_mode(text: &str) -> Result<SmmuMode, String> {
    SmmuMode::from_name(text).ok_or_else(|| "expected shadow, shared or off".to_owned())
}

const BENCH_EXAMPLE: &str = "\
Examples:
  parallax bench
  parallax bench --quick
  parallax bench linux --smmu-host emulated --passthrough 0

The times depend on the machine and on what else runs there; the ratios are what counts.";

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// A tenth of the operations: less exact, sooner done
    #[arg(long)]
    pub quick: bool,
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

const DOCTOR_EXAMPLE: &str = "\
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

const COMPLETIONS_EXAMPLE: &str = "\
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

const MAN_EXAMPLE: &str = "\
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_example_parses() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().expect("an example").to_string();
            let examples: Vec<&str> =
                help.lines().filter_map(|line| line.trim_start().strip_prefix("parallax ")).collect();
            assert!(!examples.is_empty(), "{} shows no example", command.get_name());
            for example in examples {
                // Up to an explanation or a redirection.
                let words = example.split("  ").next().and_then(|words| words.split('>').next());
                let words = words.unwrap_or_default().split_whitespace();
                let parsed = Cli::try_parse_from(std::iter::once("parallax").chain(words));
                assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
            }
        }
    }
}
