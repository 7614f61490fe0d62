//! Hypercalls: `hvc #0` with the SMCCC function id in x0 and arguments from x1 on.
//!
//! On return x0 is the SMCCC status and x1 the result (0, or a negative error code of [`crate::errno`]); x2 and x3
//! carry further results where an operation says so. Ids below [`FIRST_OWN`] are upstream pKVM's (Linux 7.3).

/// SMCCC owner bits of every id: fast call, 64 bit, vendor-specific hypervisor service as pKVM uses it.
pub const BASE: u64 = 0xc600_0000;

/// `(pfn)`: the host lends one page to the hypervisor.
pub const HOST_SHARE_HYP: u64 = BASE | 29;
/// `(pfn)`: the host takes a lent page back.
pub const HOST_UNSHARE_HYP: u64 = BASE | 30;

/// Ids from here on are this project's own: functions that upstream keeps inside the hypervisor.
pub const FIRST_OWN: u64 = BASE | 0x100;
/// `(pfn, nr)`: the host gives `nr` pages to the hypervisor.
pub const HOST_DONATE_HYP: u64 = BASE | 0x100;
/// `(pfn, nr)`: the hypervisor gives `nr` pages back to the host.
pub const HYP_DONATE_HOST: u64 = BASE | 0x101;
/// `(pfn, nr)`: the hypervisor pins shared pages: they cannot be unshared until unpinned.
pub const HYP_PIN_SHARED_MEM: u64 = BASE | 0x102;
/// `(pfn, nr)`: undoes one pin.
pub const HYP_UNPIN_SHARED_MEM: u64 = BASE | 0x103;
/// `(pfn, nr)`: the host gives MMIO pages to the hypervisor; only before the host runs.
pub const HOST_DONATE_HYP_MMIO: u64 = BASE | 0x104;
/// `(pfn, nr)`: the hypervisor gives MMIO pages back to the host.
pub const HYP_DONATE_HOST_MMIO: u64 = BASE | 0x105;
/// `()`: takes the oldest record off the SMMU's event queue. x1 = 0 with x2 = dword 0 (event number in bits 7:0,
/// StreamID in 63:32) and x3 = dword 2 (the input address), or ENOENT when the queue is empty, ENODEV
/// without SMMU, EPERM when the host has an SMMU of its own and the events are in its own queue.
pub const SMMU_READ_EVENT: u64 = BASE | 0x110;
