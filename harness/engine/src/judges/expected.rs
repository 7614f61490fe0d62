//! Whether an operation ended as the trace says that it must.

use parallax_addr::Ipa;
use parallax_model::{Context, Finding, Rule, Side, Snapshot, Space, Span, Violation, canonical};

use parallax_ops::{Agent, BAD_REQUEST, Operation, Outcome};

use parallax_trace::Op;

use crate::judge::{Judge, StepView};

/// Holds every result against what the trace expects.
pub(super) struct Expected;

impl Judge for Expected {
    fn judge(&mut self, step: &StepView<'_>) -> Vec<Finding> {
        let (state, context) = (step.after.state, step.after.context);
        let performed = step.performed.iter();
        performed
            .filter_map(|one| check(one.op, (one.operation, &one.answer.outcome), state, context))
            .collect()
    }

    fn is_of_one(&self) -> bool {
        true
    }
}

/// The finding that the result of `op` is not the expected one, as `state` is now.
fn check(
    op: &Op,
    (operation, outcome): (&Operation, &Outcome),
    state: &Snapshot,
    context: &Context,
) -> Option<Finding> {
    let message = unexpected(op.expect.as_ref(), outcome)?;
    let (space, span, message) = match (operation.footprint().pages, device(operation)) {
        (Some(pages), Some(sid)) if behind_stage1(sid, state) => {
            // What it is in the host's addresses is in the host's own table, which a snapshot does not hold.
            let message = format!("{message}, at {:#x} of the device's own stage 1", pages.base);
            (Space::Ste, Span::new(sid, 1), message)
        }
        (Some(pages), Some(_)) => (Space::Smmu, pages.cast(), message),
        (Some(pages), None) => (Space::Cpu, pages.cast(), message),
        (None, _) => (Space::Regs, Span::default(), message),
    };
    let subject = match space {
        Space::Ste => canonical::stream_ids(span),
        Space::Regs => String::new(),
        _ => context.symbols.span(span.cast::<Ipa>()),
    };
    let rule = Rule::ResultExpected;
    let violation = Violation { rule, space, span, subject, message, function: None };
    Some(seen(violation, operation, state, context))
}

/// What is wrong with `outcome`. Where a trace expects nothing, the operation must at least have been performed.
fn unexpected(expected: Option<&Outcome>, outcome: &Outcome) -> Option<String> {
    let Some(expected) = expected else {
        let refused = matches!(outcome, Outcome::Unknown(text) if text == BAD_REQUEST);
        let missing = refused || *outcome == Outcome::Timeout;
        return missing.then(|| format!("expected that it is performed, got {outcome}"));
    };
    let with_value = matches!(expected, Outcome::Ok { value: Some(_) });
    let actual = if with_value { outcome.clone() } else { outcome.clone().without_value() };
    (!expected.admits(outcome)).then(|| format!("expected {expected}, got {actual}"))
}

/// Whether the host has a stage 1 of its own for stream `sid`.
fn behind_stage1(sid: u64, state: &Snapshot) -> bool {
    let stream = state.smmu.as_ref().zip(u32::try_from(sid).ok()).and_then(|(smmu, sid)| smmu.stream(sid));
    stream.is_some_and(|stream| stream.config().stage1())
}

/// `violation` about an operation's result as `state` is now, with the device that the operation made work.
pub(super) fn seen(
    violation: Violation,
    operation: &Operation,
    state: &Snapshot,
    context: &Context,
) -> Finding {
    let found = violation.in_state(state, context);
    match device(operation) {
        Some(sid) => found.with(Side::Device, canonical::stream_ids(Span::new(sid, 1))),
        None => found,
    }
}

/// The StreamID of the device that `operation` makes work.
fn device(operation: &Operation) -> Option<u64> {
    match operation.footprint().agent {
        Agent::Device(sid) => Some(sid.get().into()),
        Agent::Cpu => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_expects_nothing_is_performed_all_the_same() {
        let timeout = Outcome::Timeout;
        assert_eq!(unexpected(Some(&timeout), &timeout), None);
        assert_eq!(unexpected(None, &Outcome::Ok { value: Some(3) }), None);
        assert_eq!(unexpected(None, &Outcome::Unknown("smccc_65537".to_owned())), None);
        let says = |outcome: &Outcome| Some(format!("expected that it is performed, got {outcome}"));
        for outcome in [timeout, Outcome::Unknown(BAD_REQUEST.to_owned())] {
            assert_eq!(unexpected(None, &outcome), says(&outcome));
        }
    }
}
