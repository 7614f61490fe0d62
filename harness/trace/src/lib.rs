//! Traces: one operation a line, on a machine that the trace describes.
//!
//! ```text
//! machine cpus=2 smmu=shadow                        # a comment
//! host_share_hyp pfn=ram+0x10
//! cpu=1 host_share_hyp pfn=ram+0x10      => EPERM
//! dma_write sid=8 ipa=ram+0x20000        => ok
//! ```
//!
//! A [`Trace`] is what the text means; [`Trace::parse`] refuses what is malformed with a [`TraceError`] that tells
//! file, line, column and what was expected there. An [`Op`] prints as its canonical text, which parses to the same.
//! [`words`] are names for operations on the SMMU. [`spec`] says what machines there can be, [`tree`] reads their device trees. Nothing here knows a machine that runs.

#![forbid(unsafe_code)]

mod error;
mod never_at_once;
mod op;
mod parse;
mod similar_name;
pub mod spec;
mod syntax;
mod trace;
pub mod tree;
pub mod words;

pub use error::TraceError;
pub use op::{AtOnce, Op};
pub use parallax_addr::{Base, Expr, Symbol};
pub use parallax_ops::Outcome;
pub use similar_name::similar;
pub use spec::MachineSpec;
pub use trace::Trace;
pub use words::{WORDS, Word};
