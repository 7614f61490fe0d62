//! A Linux and its machine, as arguments of several commands.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use parallax_linux::LinuxSpec;
use parallax_trace::spec::{HostView, NotASize, SmmuMode, parse_size};

use super::cpus::cpus;

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
