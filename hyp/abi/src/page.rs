//! One entry of the hypervisor's page-state array (vmemmap): a little-endian u64 for each page frame.
//!
//! | bits | field |
//! | --- | --- |
//! | 15:0 | reference count (pins, users of a hypervisor page) |
//! | 23:16 | allocation order, for the page pool |
//! | 25:24 | the host's state, [`State`] |
//! | 29:28 | the hypervisor's state, complemented, so that a zeroed entry means host OWNED, hypervisor NOPAGE |
//! | 63:32 | how many guests the host shares the page with |

/// Bit position and mask of the reference count.
pub const REFCOUNT: (u32, u64) = (0, 0xffff);
/// Bit position and mask of the allocation order.
pub const ORDER: (u32, u64) = (16, 0xff);
/// Bit position and mask of the host's state.
pub const HOST_STATE: (u32, u64) = (24, 0b11);
/// Bit position and mask of the hypervisor's state (stored complemented).
pub const HYP_STATE: (u32, u64) = (28, 0b11);
/// Bit position and mask of the number of guests that the host shares the page with.
pub const HOST_SHARE_GUEST_COUNT: (u32, u64) = (32, 0xffff_ffff);

/// `OWNED`: owned exclusively.
pub const OWNED: u64 = 0;
/// `SHARED_OWNED`: owned, and shared with another.
pub const SHARED_OWNED: u64 = 1;
/// `SHARED_BORROWED`: another owns it and shares it.
pub const SHARED_BORROWED: u64 = 2;
/// `NOPAGE`: no access.
pub const NOPAGE: u64 = 3;

/// Owner id of the host in an annotated stage-2 entry.
pub const OWNER_HOST: u64 = 0;
/// Owner id of the hypervisor.
pub const OWNER_HYP: u64 = 1;
/// Owner id of a guest.
pub const OWNER_GUEST: u64 = 2;
