//! The `parallax` command, as a library.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`suite`] | which traces: files and folders |
//! | [`engine`] | performing them, and judging every state |
//! | [`attack`] | a hostile host: random operations from a seed |
//! | [`bisect`] | which commit broke a trace |
//! | [`jobs`] | many traces side by side, against their goldens |
//! | [`golden`] | the goldens |
//! | [`report`] | telling what came of it |
//! | [`coverage`] | which lines of the hypervisor traces reach |
//! | [`explain`] | who changed an entry, and what invalidation followed |
//! | [`schema`] | the published forms of what is printed as JSON |
//! | [`source`] | states one after the other, from a trace or a recording |
//! | [`html`] | a recording as a page that opens from disk, and as a trace for Perfetto |
//! | [`cli`], [`cmd`] | the command line, a module a subcommand |
#![forbid(unsafe_code)]

pub mod attack;
pub mod bisect;
pub mod cli;
pub mod cmd;
pub mod coverage;
pub mod engine;
pub mod event_text;
pub mod explain;
pub mod golden;
pub mod html;
pub mod interrupt;
pub mod jobs;
pub mod live;
pub mod order;
pub mod project;
pub mod report;
pub mod schema;
pub mod source;
pub mod status;
pub mod suite;
pub mod text_diff;
mod whole_file;
