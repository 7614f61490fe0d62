//! A whole trace, from boot to its last operation.

use parallax_machine::Machine;
use parallax_machine::recording::Recorder;
use parallax_model::Golden;

use super::session::Session;
use crate::report::Found;
use crate::status::Failure;
use crate::trace::{Op, Outcome};

/// What became of a trace.
#[derive(Debug, Default)]
pub struct TraceRun {
    /// The text that is compared with the golden.
    pub golden: String,
    /// What was found.
    pub findings: Vec<Found>,
    /// How many operations were performed.
    pub ops: usize,
    /// Why it did not get to its end, if it did not. What was found until then is there all the same.
    pub failure: Option<Failure>,
}

/// Performs `ops` on `machine`, which has just booted, and records it.
pub fn run_trace(ops: &[Op], machine: &mut dyn Machine, recorder: Option<Recorder>) -> TraceRun {
    let mut run = TraceRun::default();
    let mut golden = Golden::default();
    if let Err(failure) = perform(ops, machine, recorder, &mut run, &mut golden) {
        run.failure = Some(failure);
    }
    run.golden = golden.text().to_owned();
    run
}

fn perform(
    ops: &[Op],
    machine: &mut dyn Machine,
    recorder: Option<Recorder>,
    run: &mut TraceRun,
    golden: &mut Golden,
) -> Result<(), Failure> {
    let (mut session, at_boot) = Session::start(machine, recorder)?;
    golden.boot(&at_boot);
    let boot = |finding| Found { line: 0, op: "boot".to_owned(), finding };
    run.findings.extend(at_boot.into_iter().map(boot));
    for op in ops {
        let text = op.to_string();
        let step = session.step(op).map_err(|error| {
            let Failure { status, message } = error.into();
            Failure { status, message: format!("{}: {text}: {message}", op.line) }
        })?;
        golden.operation(op.line, &text, &shown(op, &step.outcome), &step.lines, &step.findings);
        let found = |finding| Found { line: op.line, op: text.clone(), finding };
        run.findings.extend(step.findings.into_iter().map(found));
        run.ops += 1;
    }
    Ok(session.finish()?)
}

/// The result as a golden shows it. A value is shown only where the trace asks for one: others may be anything
/// (a clock, what was in memory before).
fn shown(op: &Op, outcome: &Outcome) -> String {
    let outcome = match op.expect {
        Some(Outcome::Ok { value: Some(_) }) => outcome.clone(),
        _ => outcome.clone().without_value(),
    };
    outcome.to_string()
}
