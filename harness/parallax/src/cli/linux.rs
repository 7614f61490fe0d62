//! Arguments of `linux` and `bench`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use parallax_abi::fault::Fault;
use parallax_linux::LinuxSpec;
use parallax_trace::spec::{HostView, NotASize, SmmuMode, parse_size};

use super::cpus;
use super::fault::FaultName;

pub(super) const LINUX_EXAMPLE: &str = "\
Examples:
  parallax linux                                the kernel that ci/setup --linux fetches
  parallax linux --kernel 7.3 --cpus 4          that series, after ci/fetch-linux --series 7.3
  parallax linux --cpus 4 --io 64 --every 50
  parallax linux --cpus 4 --events              also judge the order of all that the hypervisor does
  parallax linux --kernel Image --initrd initrd.cpio --append quiet --verbose

Exit status: 0 all went well, 1 the guest failed or a check did, 2 no Image or wrong modules, 125 could not build or start.";

/// Arguments of `linux`.
#[derive(Debug, Args)]
pub struct Linux {
    /// The kernel and its machine.
    #[command(flatten)]
    pub machine: LinuxMachine,
    /// An initramfs of your own, which must switch the machine off [default: one that tests disks and network]
    #[arg(long, value_name = "FILE", conflicts_with = "modules")]
    pub initrd: Option<PathBuf>,
    /// Switch a fault of the hypervisor on: then the checks must find something (`parallax faults` lists them)
    #[arg(long, value_name = "NAME", value_parser = FaultName, hide_possible_values = true, conflicts_with = "bare")]
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
    /// An arm64 Image, not compressed, or the name of a Linux that ci/fetch-linux put into target/linux, such as 7.3
    /// [default: target/linux/Image]
    #[arg(long, value_name = "NAME|FILE")]
    pub kernel: Option<PathBuf>,
    /// A folder of the kernel's modules, or a tree such as /lib/modules/VERSION, not compressed [default: those that came
    /// with the kernel; for a FILE, those of its version beside it or below target/linux]
    #[arg(long, value_name = "DIR")]
    pub modules: Option<PathBuf>,
    /// More for the kernel's command line
    #[arg(long, value_name = "WORDS")]
    pub append: Option<String>,
    /// How many CPUs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = cpus())]
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
    #[arg(long, value_name = "MODE", default_value = "shadow", value_parser = smmu_mode())]
    pub smmu: SmmuMode,
    /// What the kernel sees of an SMMU that the hypervisor uses: hidden or emulated
    #[arg(long, value_name = "VIEW", default_value = "hidden", value_parser = smmu_host())]
    pub smmu_host: HostView,
    /// Give up after so long, in seconds
    #[arg(long, value_name = "S", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    pub timeout: u32,
}

impl From<&LinuxMachine> for LinuxSpec {
    fn from(args: &LinuxMachine) -> Self {
        Self {
            kernel: args.kernel.clone(),
            modules: args.modules.clone(),
            append: args.append.clone(),
            cpus: args.cpus,
            mem: args.mem,
            io: args.io,
            passthrough: args.passthrough,
            smmu: args.smmu,
            smmu_host: args.smmu_host,
        }
    }
}

/// The least RAM for a Linux: its image is loaded 256 MiB behind the start.
const LINUX_RAM: u64 = 512 << 20;

fn memory_size(text: &str) -> Result<u64, NotASize> {
    parse_size(text, LINUX_RAM)
}

fn smmu_host() -> impl TypedValueParser<Value = HostView> {
    PossibleValuesParser::new(HostView::NAMES.iter().map(|(_, name)| *name))
        .try_map(|name| HostView::from_name(&name).ok_or("no view of the SMMU"))
}

fn smmu_mode() -> impl TypedValueParser<Value = SmmuMode> {
    PossibleValuesParser::new(SmmuMode::NAMES.iter().map(|(_, name)| *name))
        .try_map(|name| SmmuMode::from_name(&name).ok_or("no use of the SMMU"))
}

pub(super) const BENCH_EXAMPLE: &str = "\
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
