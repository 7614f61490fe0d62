//! The SMMUv3 driver (Arm IHI 0070): keeps devices inside the stage-2 table that the hypervisor gives it.
//!
//! [`Smmu::probe`] closes the SMMU first (no translation, all traffic aborted) and then looks at what it can do.
//! [`Closed::init`] writes stream table and queues into memory that the caller hands in, every stream stage-2 only.
//! [`Smmu::enable`] turns translation on. From then on the owner of the stage-2 table reaches the SMMU's TLB
//! through [`SmmuTlb`], and [`SmmuTlb::take_event`] tells what was refused.
//!
//! What the host sees of the SMMU is [`HostView`]: nothing, or the one that [`viommu`] makes it believe in.
//!
//! Safety argument: there is no moment at which a device reaches memory other than through the table. While
//! translation is off, GBPA.ABORT is set. All waits are bounded; when the SMMU refuses a command or does not answer,
//! translation is turned off for good ([`Smmu::failure`]), so that a page whose invalidation failed stays out of reach.

mod driver;
pub mod viommu;

use crate::addr::Ipa;
pub use driver::{
    Buffer, Buffers, Closed, Command, Event, Features, HostView, Layout, STE_SIZE, Smmu, SmmuError, Stage2,
    Ste, regs,
};

/// A StreamID: which device a transaction comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct StreamId(pub u32);

/// A virtual machine identifier, the tag of stage-2 entries in a TLB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Vmid(pub u16);

impl Vmid {
    /// The host's.
    pub const HOST: Self = Self(0);
}

/// The SMMU's TLB maintenance, as the owner of a stage-2 table (VMID 0, the host's) needs it.
///
/// The calls that name entries may be batched: nothing is promised before [`SmmuTlb::sync`] returns. It orders every
/// table write made before it ahead of the commands, so the caller needs no barrier of its own.
pub trait SmmuTlb {
    /// Invalidates all entries, of any level, that translate any of the `size` bytes (a multiple of 4 KiB) at `ipa`
    /// (4 KiB aligned).
    fn tlbi_s2_ipa(&mut self, ipa: Ipa, size: u64);
    /// Invalidates every entry of both stages.
    fn tlbi_s12_vmall(&mut self);
    /// Submits what was asked for and waits until it is complete. When the SMMU fails to do it, no device reaches
    /// memory any more.
    fn sync(&mut self);
    /// Takes the oldest record off the event queue.
    fn take_event(&mut self) -> Option<Event>;
}
