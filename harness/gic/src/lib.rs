//! Decoder for what a GICv3 reaches in memory by physical address: the ITS and the redistributors, written from the GIC
//! architecture specification (IHI 0069).
//!
//! It takes register values and the bytes of memory, and says which memory the GIC reads and writes. It knows nothing of
//! how the hypervisor programs its GIC.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`raw`] | [`RawGic`]: values of registers, where they are, and how they follow what is written to them |
//! | [`its`], [`redistributor`] | the fields of single registers |
//! | [`table`] | device and collection table: flat and two-level |
//! | [`entry`] | entries of these tables and of an ITT |
//! | [`lpi`] | configuration and pending table of the LPIs |
//! | [`command`] | commands of an ITS |
//!
//! The manual leaves the format of flat tables, of level-2 tables and of ITTs to whoever makes an ITS (IHI 0069, 5.2: IMPLEMENTATION
//! DEFINED). [`entry`] has that of QEMU's, which is not a part of any architecture.
//!
//! Nothing here panics on any input.
#![forbid(unsafe_code)]

pub mod command;
pub mod entry;
pub mod fields;
pub mod its;
pub mod lpi;
pub mod raw;
pub mod redistributor;
pub mod table;

pub use command::{Command, CommandKind};
pub use entry::{Cte, Dte, Ite};
pub use its::{Baser, Cbaser, ItsCtlr, ItsTyper};
pub use lpi::LpiTables;
pub use raw::{RawGic, RawIts, RawRedistributor};
pub use redistributor::{Pendbaser, Propbaser, RedistributorCtlr};
pub use table::{Table, TableFault, TableKind};
