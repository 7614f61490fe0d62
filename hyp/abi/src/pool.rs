//! A page pool's own account of its pages, as it stands in the hypervisor's memory.
//!
//! A page is free if it lies at or behind [`Pool::next`], or if it is on the list that begins at [`Pool::freed`]: the first
//! u64 of a free page is the address of the next one, 0 in the last.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// All addresses are physical, all sizes are bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Pool {
    /// Its first page.
    pub base: u64,
    /// Its size.
    pub size: u64,
    /// The first page that was never handed out.
    pub next: u64,
    /// The page freed last, 0 for none.
    pub freed: u64,
    /// How many pages are free.
    pub free: u64,
}
