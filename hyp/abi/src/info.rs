//! The hypervisor's description of itself: the static `PARALLAX_INFO` in its image.
//!
//! The harness finds the symbol in the ELF file and its place in memory by walking the EL2 stage-1 table. What
//! stands here tells where to look; it is never evidence that a table is right.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Symbol of the [`HypInfo`] static in the hypervisor's ELF file.
pub const INFO_SYMBOL: &str = "PARALLAX_INFO";
/// Symbol where the hypervisor parks a CPU after it has printed a panic; a breakpoint here tells of it.
pub const PANIC_SYMBOL: &str = "parallax_panic_stop";
/// [`HypInfo::magic`]: `PLXHINFO` read as little-endian bytes.
pub const MAGIC: u64 = u64::from_le_bytes(*b"PLXHINFO");
/// [`HypInfo::version`]. Since 2 there is [`HypInfo::pools_pa`], since 3 [`HypInfo::tree_pa`].
pub const VERSION: u64 = 3;

/// All addresses are physical unless the name says otherwise; all sizes are bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct HypInfo {
    /// [`MAGIC`] once the hypervisor has finished its initialisation, 0 before.
    pub magic: u64,
    /// [`VERSION`].
    pub version: u64,
    /// First byte of the image (page aligned).
    pub image_pa: u64,
    /// EL2 virtual address of that byte.
    pub image_va: u64,
    /// Size of the image, page aligned.
    pub image_size: u64,
    /// First byte of the page pool.
    pub pool_pa: u64,
    /// Size of the page pool.
    pub pool_size: u64,
    /// First byte of the page-state array, see [`crate::page`].
    pub vmemmap_pa: u64,
    /// Page frame that entry 0 describes.
    pub vmemmap_first_pfn: u64,
    /// Number of entries.
    pub vmemmap_nr: u64,
    /// EL2 virtual address = physical address + this, for pool, pinned pages and MMIO.
    pub linear_offset: u64,
    /// The SMMU's register frame, 0 when there is none or it is not used.
    pub smmu_pa: u64,
    /// Size of the SMMU's register frame.
    pub smmu_size: u64,
    /// The SMMU command queue's memory.
    pub cmdq_pa: u64,
    /// Size of the command queue's memory.
    pub cmdq_size: u64,
    /// The SMMU event queue's memory.
    pub evtq_pa: u64,
    /// Size of the event queue's memory.
    pub evtq_size: u64,
    /// The emulated SMMU, [`crate::smmu_host::HostSmmu`]; 0 when the host sees none.
    pub smmu_host_pa: u64,
    /// Number of the switched-on fault ([`crate::fault::Fault`]), 0 for none.
    pub fault: u64,
    /// Number of CPUs that run under the hypervisor.
    pub cpus: u64,
    /// The two page pools, each a [`crate::pool::Pool`]: that of the host's stage 2, and that of EL2's tables and the
    /// SMMU's.
    pub pools_pa: [u64; 2],
    /// The device tree that the host gets.
    pub tree_pa: u64,
    /// Its size.
    pub tree_size: u64,
}
