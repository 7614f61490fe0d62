//! Addresses: a type for each address space, ranges of them, and their names.
//!
//! [`Ipa`], [`PhysAddr`] and [`HypVa`] count bytes, [`Pfn`] counts page frames of 4 KiB; one does not become another
//! by accident. [`AddressMap`] is the one place that knows which name an address has and which address a name has;
//! [`Expr`] is the one parser of what people write: `0x40000000`, `ram+0x1000`, `pool_end-1`, `mmio:uart`.
//!
//! Nothing here knows a machine, a table or a trace.
#![forbid(unsafe_code)]

mod address;
mod expr;
mod ids;
mod map;
mod span;

pub use address::{HypVa, ImageVa, InputAddr, Ipa, Named, Pfn, PhysAddr, Point};
pub use expr::{Base, Expr, NotAnAddress, Number, Symbol, parse_number};
pub use ids::{StreamId, VmHandle, Vmid};
pub use map::{AddressMap, UnknownPlace};
pub use span::Span;

/// log2 of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;
/// Bytes in a page: the 4 KiB granule is the one that everything here counts in.
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;
