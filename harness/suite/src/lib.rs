//! Many traces: which there are, running them side by side against their goldens, and what that says of the hypervisor's
//! source.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`cases`] | which traces: files and folders |
//! | [`selection`] | which of them are run, on which machines |
//! | [`jobs`] | many traces side by side, against their goldens |
//! | [`compare`] | a trace on several hypervisors, side by side |
//! | [`source`] | states one after the other, from a trace or a recording |
//! | [`bisect`] | which commit broke a trace |
//! | [`explanation`] | what an operation of a trace did |
//! | [`coverage`] | which lines of the hypervisor traces reach |
//! | [`mutants`] | whether traces see a small change of the hypervisor |
//! | [`revision`] | a trace on the hypervisor of another revision |
//! | [`schema`] | the published forms of what is printed as JSON |
#![forbid(unsafe_code)]

pub mod bisect;
pub mod cases;
pub mod compare;
pub mod coverage;
pub mod explanation;
pub mod jobs;
pub mod made_for;
pub mod mutants;
pub mod performed;
pub mod revision;
pub mod schema;
pub mod selection;
pub mod source;
