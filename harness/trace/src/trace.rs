//! What the text of a trace means.

use parallax_abi::fault::Fault;

use crate::op::Op;
use crate::spec::MachineSpec;

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
    /// Leaves the fault out. The build stays the one that could switch it on.
    pub fn switch_fault_off(&mut self) {
        self.fault = None;
        self.machine.hyp.fault = None;
    }
}
