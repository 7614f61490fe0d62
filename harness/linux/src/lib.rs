//! An unmodified Linux as the hypervisor's host, with disks and a network behind the SMMU.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`choice`], `kernel`, `modules` | which kernel is booted, and what it can be |
//! | `guest`, `cpio`, `disks` | its initramfs and what it works on |
//! | [`boot`] | one boot, from its disks to what was found |
//! | [`drive`], `view`, `watch` | running it, looking at it, and hearing what it says |
//! | [`operations`] | operations of the hypervisor beside its work |
#![forbid(unsafe_code)]

pub mod boot;
pub mod choice;
mod commands;
mod cpio;
mod disks;
pub mod drive;
pub mod guest;
mod kernel;
mod modules;
mod oops;
pub mod operations;
mod view;
mod watch;

use std::path::PathBuf;

use parallax_trace::spec::{HostView, SmmuMode};

pub use boot::{Boot, Outcome, Show};
pub use choice::{Choice, choose};
pub use drive::Plan;

/// A Linux and the machine that it runs on.
#[derive(Clone, Debug)]
pub struct LinuxSpec {
    /// An arm64 Image, not compressed, or the name of a kernel's folder; none for the default one.
    pub kernel: Option<PathBuf>,
    /// A folder of the kernel's modules; none for those that came with it.
    pub modules: Option<PathBuf>,
    /// More for the kernel's command line.
    pub append: Option<String>,
    /// How many CPUs, see [`parallax_trace::spec::CPUS`].
    pub cpus: u8,
    /// RAM in bytes.
    pub mem: u64,
    /// How much data each disk has to take, in MiB.
    pub io: u16,
    /// The kernel's iommu.passthrough: 0 translates, 1 does not.
    pub passthrough: u8,
    /// How the hypervisor uses the SMMU.
    pub smmu: SmmuMode,
    /// What the kernel sees of it.
    pub smmu_host: HostView,
}

impl Default for LinuxSpec {
    fn default() -> Self {
        Self {
            kernel: None,
            modules: None,
            append: None,
            cpus: 1,
            mem: 1 << 30,
            io: 8,
            passthrough: 1,
            smmu: SmmuMode::default(),
            smmu_host: HostView::default(),
        }
    }
}
