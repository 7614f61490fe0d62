//! A Linux, and the machine that it runs on.

use std::path::PathBuf;

use parallax_trace::spec::{HostView, SmmuMode};

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
