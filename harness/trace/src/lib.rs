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
//! [`words`] are names for operations on the SMMU. [`spec`] says what machines there can be. Nothing here knows a machine that runs.

#![forbid(unsafe_code)]

mod error;
mod op;
mod parse;
mod similar_name;
pub mod spec;
mod syntax;
pub mod words;

use parallax_abi::fault::Fault;

pub use error::TraceError;
pub use op::Op;
pub use parallax_addr::{Base, Expr, Symbol};
pub use parallax_ops::Outcome;
pub use similar_name::similar;
pub use spec::MachineSpec;
pub use words::{WORDS, Word};

/// A parsed trace.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The trace, as the user named it.
    pub path: String,
    /// The fault that it switches on.
    pub fault: Option<Fault>,
    /// The machine to boot, fault included.
    pub machine: MachineSpec,
    /// What to perform, in order.
    pub ops: Vec<Op>,
}

impl Trace {
    /// Reads the text of a trace; `path` is for messages only.
    ///
    /// # Errors
    /// The first thing that is malformed.
    pub fn parse(path: &str, text: &str) -> Result<Self, TraceError> {
        parse::trace(path, text)
    }

    /// Leaves the fault out. The build stays the one that could switch it on.
    pub fn switch_fault_off(&mut self) {
        self.fault = None;
        self.machine.hyp.fault = None;
    }

    /// Changes the machine: `keys` is written as behind the word `machine`.
    ///
    /// # Errors
    /// A key or a value that does not fit.
    pub fn change_machine(&mut self, keys: &str) -> Result<(), TraceError> {
        self.machine = parse::machine(self.machine.clone(), keys)?;
        let cpus = u64::from(self.machine.cpus);
        match self.ops.iter().find(|op| op.cpu >= cpus) {
            Some(op) => Err(parse::too_few_cpus(keys, op.line)),
            None => Ok(()),
        }
    }
}
