//! What came of traces, told to people and programs.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`golden`] | the goldens |
//! | [`report`] | findings and verdicts, in every form |
//! | [`event_order`] | what is wrong in the order of events of a file |
//! | [`operation_events`] | invalidations, barriers and SMMU commands of an operation, in order |
//! | [`explain`] | who changed an entry, and what invalidation followed |
//! | [`html`] | a recording as a page that opens from disk, and as a trace for Perfetto |
//! | [`text_diff`], [`text_table`] | two texts compared; tables for people |
//! | [`bench_targets`] | what a measurement of several hypervisors gave, for programs |
//! | [`walk`], [`regular`] | what is below a folder, and files that may be anything |
//! | [`whole_file`] | files that are there whole or not at all |
#![forbid(unsafe_code)]

pub mod bench_targets;
mod command_reader;
pub mod event_order;
pub mod explain;
pub mod golden;
pub mod html;
pub mod operation_events;
pub mod regular;
pub mod report;
pub mod text_diff;
pub mod text_table;
pub mod walk;
pub mod whole_file;
