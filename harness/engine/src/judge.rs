//! What judges are asked, and what they see.

use parallax_abi::journal::Record;
use parallax_machine::symbols::Symbols;
use parallax_model::{Context, Finding, Layout, Snapshot};
use parallax_ops::{Answer, Batch, Operation, Order, ReachKind};
use parallax_trace::Op;
use parallax_vmsa::PhysMem;

/// A state, and what happened until then.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// The state.
    pub state: &'a Snapshot,
    /// What the checks have to know of the machine.
    pub context: &'a Context,
    /// Physical memory.
    pub memory: &'a dyn PhysMem,
    /// What a plugin saw since the moment before.
    pub events: &'a [Record],
    /// Symbols of the images that run, where there are any.
    pub symbols: Option<&'a Symbols>,
}

/// An operation that was performed.
#[derive(Clone, Copy)]
pub struct Performed<'a> {
    /// The line of the trace.
    pub op: &'a Op,
    /// What it is on this machine.
    pub operation: &'a Operation,
    /// What the machine said of it.
    pub answer: &'a Answer,
}

impl Performed<'_> {
    /// Whether one of the host's CPUs may have written memory of the hypervisor that `layout` has: all but loads, and stores elsewhere,
    /// as the host's stage 2 is an identity.
    pub(crate) fn may_write_own(&self, layout: &Layout) -> bool {
        self.operation.footprint().reach.is_none_or(|reach| match reach.kind {
            ReachKind::Read => false,
            ReachKind::Write => layout.own().any(|own| own.overlaps(reach.span.cast())),
            ReachKind::Execute => true,
        })
    }
}

/// What was performed between two looks at the machine, and the moment after it.
#[derive(Clone, Copy)]
pub struct StepView<'a> {
    /// The operations: one, or several [`Order::Together`].
    pub performed: &'a [Performed<'a>],
    /// Whether each operation is looked at by itself.
    pub order: Order,
    /// The state before the first of them.
    pub before: &'a Snapshot,
    /// The moment after the last of them.
    pub after: Moment<'a>,
}

/// Judges every state of a machine. What several judges find is reported in their order.
pub trait Judge {
    /// What is wrong at the end of the boot.
    fn boot(&mut self, at: &Moment<'_>) -> Vec<Finding> {
        let _ = at;
        Vec::new()
    }

    /// Looks at `memory` before `batch`, which the machine is about to perform. Operations that are looked at in turn
    /// without a stop between them are not announced.
    fn before(&mut self, batch: &Batch, memory: &dyn PhysMem) {
        let _ = (batch, memory);
    }

    /// What is wrong with operations, or after them.
    fn judge(&mut self, step: &StepView<'_>) -> Vec<Finding>;

    /// Bytes of memory that it compares at each look with what they were.
    fn watched(&self) -> u64 {
        0
    }

    /// Whether it finds the same thing again as long as that lasts. It is reported once then.
    fn finds_again(&self) -> bool {
        true
    }

    /// Whether each of its findings is of one operation, and of none that was performed at once with it.
    fn is_of_one(&self) -> bool {
        false
    }

    /// What there is to say of a finding of its own beyond the text: source lines, and how often until now.
    fn detail(&self, finding: &Finding, symbols: Option<&Symbols>) -> Vec<String> {
        let _ = (finding, symbols);
        Vec::new()
    }
}
