//! Whether everything holds that must always hold.

use parallax_model::{Finding, check};

use crate::judge::{Judge, Moment, StepView};

/// The invariants of a state.
pub(super) struct Invariants;

impl Judge for Invariants {
    fn boot(&mut self, at: &Moment<'_>) -> Vec<Finding> {
        check(at.state, at.context)
    }

    fn judge(&mut self, step: &StepView<'_>) -> Vec<Finding> {
        check(step.after.state, step.after.context)
    }
}
