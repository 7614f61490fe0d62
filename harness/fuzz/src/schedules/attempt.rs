//! One situation under one schedule, on a machine of its own.

use parallax_engine::event_text::innermost;
use parallax_engine::{Beginning, Session, SessionError};
use parallax_machine::{Backend, MachineError, PointKind, Turn};
use parallax_model::Finding;
use parallax_ops::{CpuId, Schedule};
use parallax_trace::{Op, Trace};

use crate::end::of_hypervisor;
use crate::explore::lost;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempt {
    /// Who went on whenever there was a choice.
    pub(super) choices: Vec<CpuId>,
    /// All turns, with what stands there, for a person.
    pub(super) turns: Vec<(Turn, String)>,
    /// How the operations ended.
    pub(super) outcomes: Vec<String>,
    /// What was found, and how the machine came to its end, if it did.
    pub(super) found: Vec<String>,
    /// The rule of the first finding.
    pub(super) rule: Option<String>,
}

impl Attempt {
    /// The schedule that does the same.
    pub(super) fn schedule(&self) -> Schedule {
        Schedule::new(self.choices.iter().copied())
    }
}

/// Performs `trace`, some operations of which are performed at once, as `choose` says.
///
/// # Errors
/// The machine does not boot, what comes before does not end as it should, or the user cancelled.
pub(super) fn attempt(
    trace: &Trace,
    backend: &dyn Backend,
    choose: &mut dyn FnMut(&[CpuId]) -> CpuId,
) -> Result<Attempt, MachineError> {
    let mut machine = backend.boot(&trace.machine)?;
    let mut attempt = Attempt::default();
    let (mut session, at_boot) = Session::start_with(machine.as_mut(), Beginning::default()).map_err(lost)?;
    let first = trace.ops.iter().position(|op| op.at_once.is_some()).unwrap_or(trace.ops.len());
    let (before, others) = trace.ops.split_at(first);
    let count = others.first().and_then(|op| op.at_once.as_ref()).map_or(0, |at_once| at_once.count);
    let (at_once, after) = others.split_at(count);
    let mut findings = at_boot;
    if let Err(error) = each(&mut session, before, &mut findings) {
        return ended(attempt, error);
    }
    let mut choices = Vec::new();
    let mut noting = |able: &[CpuId]| {
        let chosen = choose(able);
        let chosen = if able.contains(&chosen) { chosen } else { able[0] };
        choices.push(chosen);
        chosen
    };
    let ops: Vec<&Op> = at_once.iter().collect();
    let done = session.at_once(&ops, &mut noting);
    attempt.choices = choices;
    match done {
        Ok((steps, turns)) => {
            let symbols = session.machine().symbols();
            let place = |turn: &Turn| match (turn.kind, symbols) {
                (PointKind::Entry | PointKind::Done, _) | (_, None) => String::new(),
                (_, Some(symbols)) => {
                    innermost(turn.pc, symbols).map_or_else(String::new, |place| place.to_string())
                }
            };
            attempt.turns = turns.iter().map(|turn| (*turn, place(turn))).collect();
            attempt.outcomes = steps.iter().map(|step| step.outcome.to_string()).collect();
            findings.extend(steps.into_iter().flat_map(|step| step.findings));
        }
        Err(error) => return ended(attempt, error),
    }
    if let Err(error) = each(&mut session, after, &mut findings) {
        return ended(attempt, error);
    }
    attempt.rule = findings.first().map(|finding| finding.rule.to_string());
    attempt.found = findings.iter().map(ToString::to_string).collect();
    Ok(attempt)
}

/// Performs `ops` one after the other.
fn each(session: &mut Session<'_>, ops: &[Op], findings: &mut Vec<Finding>) -> Result<(), SessionError> {
    ops.iter().try_for_each(|op| session.step(op).map(|step| findings.extend(step.findings)))
}

/// The machine came to its end: that is found, unless it is nobody's fault here.
fn ended(mut attempt: Attempt, error: SessionError) -> Result<Attempt, MachineError> {
    let text = of_hypervisor(error)?.to_string();
    attempt.rule = Some("the end of the machine".to_owned());
    attempt.found.push(text);
    Ok(attempt)
}
