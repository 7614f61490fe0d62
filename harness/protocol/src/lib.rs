//! The order of events: what EL2 did to its tables, TLBs and the SMMU, and whether that order is right.
//!
//! A library over a stream of [`Event`]s; it does no input or output.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`event`] | [`Event`]: what happened, on which CPU, where in the code |
//! | `map` | the map that almost every event is looked up in |
//! | [`tlbi`] | [`TlbiOp`]: TLB maintenance instructions by name and encoding, and what each reaches |
//! | [`casemate`] | the text form of such a stream, read and written |
//! | [`check`] | [`Checker`]: the rules |
#![forbid(unsafe_code)]

pub mod casemate;
pub mod check;
pub mod event;
mod map;
mod names;
mod register;
pub mod tlbi;

pub use check::{
    Allowances, Checker, Config, Finding, Near, Regime, Requirements, Rule, Side, Site, Subject,
};
pub use event::{Barrier, DcOp, Dsb, Event, GicRegister, HintKind, Kind, Sysreg};
pub use tlbi::TlbiOp;
