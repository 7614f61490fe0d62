//! What a Linux machine is made of, beside what its [`MachineSpec`](parallax_trace::spec::MachineSpec) says.

use std::path::PathBuf;

/// How much of RAM, at its end, the kernel must not use (`mem=`) where operations are performed beside its work, in bytes.
pub const KEPT: u64 = 2 << 20;

/// A Linux to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinuxConfig {
    /// The kernel: an arm64 Image, not compressed.
    pub kernel: PathBuf,
    /// Its initramfs.
    pub initrd: PathBuf,
    /// Its command line.
    pub append: String,
    /// The file behind the NVMe disk.
    pub nvme: PathBuf,
    /// The file behind the virtio disk.
    pub virtio_blk: PathBuf,
    /// What the guest receives at port 1 of 10.0.2.100, and where goes what it sends to port 2.
    pub net: (PathBuf, PathBuf),
    /// A device that does DMA at the harness's command, which the kernel has no driver for: `edu` in slot 5.
    pub edu: bool,
    /// At EL1 of a machine without EL2, with the same devices.
    pub bare: bool,
    /// The plugin to load, see [`crate::toolchain::plugin`]; it records what the hypervisor does, and CPUs take turns.
    pub pagewatch: Option<PathBuf>,
}
