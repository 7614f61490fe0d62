//! Whether an operation did what it is specified to do.

use parallax_model::Finding;
use parallax_spec::Around;

use crate::judge::{Judge, StepView};

/// Holds every step against the specification. The machine must do nothing between two looks but what it is asked for.
#[derive(Default)]
pub(crate) struct Spec(parallax_spec::Judge);

impl Judge for Spec {
    fn judge(&mut self, step: &StepView<'_>) -> Vec<Finding> {
        let (before, after) = (step.before, step.after.state);
        let around = Around { before, after, context: step.after.context, memory: step.after.memory };
        self.0.judge(around, step.performed.iter().map(|one| (one.operation, &one.answer.outcome)))
    }

    fn finds_again(&self) -> bool {
        false
    }
}
