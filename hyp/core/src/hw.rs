//! What the logic needs of the hardware. The hypervisor binary implements these with instructions; tests with fakes.

use crate::addr::{HypVa, Ipa, PhysAddr};

/// Memory that holds tables, page states, queues: 8-byte aligned accesses by physical address, single-copy atomic.
pub trait Memory {
    /// Reads the u64 at `pa` (8-byte aligned).
    fn read(&self, pa: PhysAddr) -> u64;
    /// Writes the u64 at `pa` (8-byte aligned).
    fn write(&self, pa: PhysAddr, value: u64);
    /// Writes the u64 at `pa` with release order: whoever sees it sees all earlier writes.
    fn write_release(&self, pa: PhysAddr, value: u64);
    /// Writes zeros to the page at `pa` (page aligned).
    fn zero_page(&self, pa: PhysAddr);
}

/// Barriers and the CPU's TLB maintenance, named after the instructions.
pub trait Cpu {
    /// `dsb ishst`.
    fn dsb_ishst(&self);
    /// `dsb ish`.
    fn dsb_ish(&self);
    /// `dsb sy`: orders memory writes before an MMIO write that tells a device of them.
    fn dsb_sy(&self);
    /// `isb`.
    fn isb(&self);
    /// `tlbi ipas2e1is`: stage-2 entries of the current VMID for the page or block at `ipa`.
    fn tlbi_ipas2e1is(&self, ipa: Ipa);
    /// `tlbi vmalle1is`: stage-1 and combined entries of the current VMID.
    fn tlbi_vmalle1is(&self);
    /// `tlbi vmalls12e1is`: all entries of the current VMID, both stages.
    fn tlbi_vmalls12e1is(&self);
    /// `tlbi vae2is`: EL2 entries for the page at `va`.
    fn tlbi_vae2is(&self, va: HypVa);
    /// `tlbi alle2is`: all EL2 entries.
    fn tlbi_alle2is(&self);
    /// What a CPU does while it waits for a lock (`wfe` or `yield`).
    fn relax(&self);
    /// Tells whoever watches the machine what went wrong.
    fn tell(&self, _what: &dyn core::fmt::Display) {}
    /// What only a hypervisor with a fault does.
    #[cfg(feature = "faults")]
    fn local(&self, _instruction: crate::fault::Local) {}
}

/// One device's registers: naturally aligned accesses at byte offsets from the start of its frame.
pub trait Mmio {
    /// Reads the 32-bit register at `offset`.
    fn read32(&self, offset: u64) -> u32;
    /// Writes the 32-bit register at `offset`.
    fn write32(&self, offset: u64, value: u32);
    /// Writes the 64-bit register at `offset`.
    fn write64(&self, offset: u64, value: u64);
}
