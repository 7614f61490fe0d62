//! Arguments of `linux`.

use std::path::PathBuf;

use clap::Args;
use parallax_abi::fault::Fault;

use super::fault::FaultName;
use super::linux_machine::LinuxMachine;

pub(crate) const EXAMPLE: &str = "\
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
    /// Also whenever a CPU comes to SYMBOL: a function of the hypervisor (`host_donate_hyp+0x40`: behind its begin), a place in its image (`hyp+0x6744`), an address, or, once the guest is in
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
