//! Whether everything holds that must always hold.

use parallax_model::{Checks, Finding};

use crate::judge::{Judge, Moment, StepView};

/// The invariants of a state.
#[derive(Default)]
pub(super) struct Invariants(Checks);

impl Judge for Invariants {
    fn boot(&mut self, at: &Moment<'_>) -> Vec<Finding> {
        self.0.check(None, at.state, at.context)
    }

    fn judge(&mut self, step: &StepView<'_>) -> Vec<Finding> {
        self.0.check(Some(step.before), step.after.state, step.after.context)
    }
}
