//! Operations: what a host or a device does, and how it ends.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`operation`] | [`Operation`], made from the table of `parallax-abi`; the only code that knows positions of arguments |
//! | [`footprint`] | [`Footprint`]: who an operation acts for, which pages it names, what it reaches |
//! | [`data`] | [`Data`]: which bytes an operation reads and writes if translation lets it |
//! | [`outcome`] | [`Outcome`]: how an operation ended, as traces write it |
//! | [`batch`] | [`Batch`]: operations that are performed without a stop between them |
//! | [`schedule`] | [`Schedule`]: which CPU goes on when several are between two points of the hypervisor |
//! | [`answer`] | [`Answer`]: all that the machine said of an operation |
#![forbid(unsafe_code)]

pub mod answer;
pub mod batch;
pub mod data;
pub mod exception;
pub mod footprint;
pub mod operation;
pub mod outcome;
pub mod schedule;

pub use answer::{Answer, Events, Syndrome};
pub use batch::{Batch, CpuId, Order};
pub use data::{Data, Written};
pub use exception::Exception;
pub use footprint::{Agent, Footprint, Reach, ReachKind};
pub use operation::{Call, CpuAccess, DmaAccess, Operation, row, rows};
pub use outcome::{BAD_REQUEST, Outcome};
pub use parallax_abi::operation::{Form, Kind, Param, Party, Row};
pub use schedule::Schedule;
