//! A whole trace, from boot to its last operation.

use parallax_machine::Machine;
use parallax_machine::coverage::Executed;
use parallax_machine::recording::Recorder;
use parallax_model::Golden;
use parallax_ops::{Operation, Schedule};
use parallax_trace::{Op, Outcome};

use crate::Mode;
use crate::ReportedFinding;
use crate::Reproducer;
use crate::error::SessionError;
use crate::order::{Exported, Requirements};
use crate::scheduler::Scheduler;
use crate::session::{Beginning, Session, Step};
use crate::status::{Failure, Status};
use crate::stream;

/// What became of a trace.
#[derive(Debug, Default)]
pub struct TraceRun {
    /// The text that is compared with the golden.
    pub golden: String,
    /// What was found.
    pub findings: Vec<ReportedFinding>,
    /// How many operations were performed.
    pub ops: usize,
    /// Whether any of them changed a state, was expected to come out in some way (as only a `nop` always does), or led
    /// to a finding.
    pub checked: bool,
    /// Why it did not get to its end, if it did not. What was found until then is there all the same.
    pub failure: Option<Failure>,
    /// What is odd about the trace, and no failure.
    pub notes: Vec<String>,
    /// Its events, if they were asked for and a plugin saw them.
    pub exported: Option<Exported>,
    /// Which instructions of the hypervisor ran, if a plugin noted it.
    pub executed: Option<Executed>,
}

/// What a run leaves behind beside its result.
#[derive(Debug)]
pub struct RunOptions {
    /// The command that runs it again.
    pub reproducer: Reproducer,
    /// Where to record it.
    pub recorder: Option<Recorder>,
    /// Whether [`TraceRun::exported`] is to have its events.
    pub export: bool,
    /// What the order of events is asked for beyond the architecture.
    pub require: Requirements,
}

/// Performs `ops` on `machine`, which has just booted, and leaves behind what `options` say. [`Mode::Stream`] needs a machine
/// with the plugin.
pub fn run_trace(ops: &[Op], machine: &mut dyn Machine, options: RunOptions, mode: Mode) -> TraceRun {
    let mut run = TraceRun::default();
    let mut golden = Golden::default();
    if let Err(failure) = perform(ops, machine, (options, mode), &mut run, &mut golden) {
        run.failure = Some(failure);
    }
    run.golden = golden.text().to_owned();
    run.executed = machine.executed();
    run
}

fn perform(
    ops: &[Op],
    machine: &mut dyn Machine,
    (options, mode): (RunOptions, Mode),
    run: &mut TraceRun,
    golden: &mut Golden,
) -> Result<(), Failure> {
    let RunOptions { reproducer, recorder, export, require } = options;
    let beginning = Beginning { recorder, export, require, ..Beginning::default() };
    let (mut session, at_boot) = Session::start_with(machine, beginning)?;
    golden.boot(&at_boot);
    run.findings
        .extend(at_boot.into_iter().map(|finding| ReportedFinding::new(0, "boot", finding, &reproducer)));
    let driven = drive(ops, &mut session, (mode, &reproducer), run, golden);
    // What was seen until something failed is there all the same.
    run.exported = session.exported();
    run.findings.iter_mut().for_each(|found| found.detail = session.detail(&found.finding));
    match driven {
        // A recording of before stays, where a user ended the run.
        Err(failure) if failure.status == Status::Interrupted => Err(failure),
        driven => driven.and(session.finish().map_err(Failure::from)),
    }
}

/// Performs `ops` in `session`.
fn drive(
    ops: &[Op],
    session: &mut Session<'_>,
    (mode, reproducer): (Mode, &Reproducer),
    run: &mut TraceRun,
    golden: &mut Golden,
) -> Result<(), Failure> {
    if mode == Mode::Stream {
        session.stream()?;
    }
    let batches = batches(ops, mode);
    let last = batches.len().saturating_sub(1);
    for (number, batch) in batches.into_iter().enumerate() {
        if number == last {
            session.look_closely();
        }
        let steps = perform_batch(session, &batch, mode, &mut run.notes).map_err(|error| {
            let Failure { status, message } = error.into();
            Failure { status, message: format!("{}: {message}", named(&batch)) }
        })?;
        if let Some(at_once) = batch.first().and_then(|op| op.at_once.as_ref()) {
            golden.together(&at_once.schedule.to_string());
        }
        for (op, step) in batch.into_iter().zip(steps) {
            let text = op.to_string();
            golden.operation(op.line, &text, &shown(op, &step.outcome), &step.lines, &step.findings);
            let found = |finding| ReportedFinding::new(op.line, &text, finding, reproducer);
            run.findings.extend(step.findings.into_iter().map(found));
            run.ops += 1;
            run.checked |= asks(op) || !step.lines.is_empty() || !run.findings.is_empty();
        }
    }
    Ok(())
}

/// Whether `op` says what must come out, where something else could.
fn asks(op: &Op) -> bool {
    op.expect.is_some() && op.shape() != Operation::Nop
}

/// `ops` cut into what is performed without a look between.
fn batches(ops: &[Op], mode: Mode) -> Vec<Vec<&Op>> {
    let mut batches = Vec::new();
    let mut rest = ops;
    while !rest.is_empty() {
        let before = rest.iter().position(|op| op.at_once.is_some()).unwrap_or(rest.len());
        let (in_turn, others) = rest.split_at(before);
        batches.extend(match mode {
            Mode::Step => in_turn.iter().map(|op| vec![op]).collect(),
            Mode::Stream => stream::batches(in_turn),
        });
        let count = others.first().and_then(|op| op.at_once.as_ref()).map_or(0, |at_once| at_once.count);
        let (at_once, others) = others.split_at(count.min(others.len()));
        batches.extend((count > 0).then(|| at_once.iter().collect::<Vec<_>>()));
        rest = others;
    }
    batches
}

fn perform_batch(
    session: &mut Session<'_>,
    batch: &[&Op],
    mode: Mode,
    notes: &mut Vec<String>,
) -> Result<Vec<Step>, SessionError> {
    match batch {
        [Op { at_once: Some(at_once), .. }, ..] => {
            let mut scheduler = Scheduler::new(&at_once.schedule);
            let (steps, _) = session.at_once(batch, &mut |able| scheduler.choose(able))?;
            notes.extend(unused(batch, &at_once.schedule, scheduler.left()));
            Ok(steps)
        }
        [op] if mode == Mode::Step || stream::touches_data(op) => Ok(vec![session.step(op)?]),
        _ => session.batch(batch),
    }
}

/// What is said of a `schedule` of `batch` whose last turns, `left` of them, nobody asked for.
fn unused(batch: &[&Op], schedule: &Schedule, left: usize) -> Option<String> {
    let digits = schedule.turns().len();
    let what = format!("{left} of the {digits} digits of `together {schedule}` were not used");
    (left != 0).then(|| format!("{}: the last {what}: a single CPU could go on by then", named(batch)))
}

/// What an error calls `batch`.
fn named(batch: &[&Op]) -> String {
    match batch {
        [op] => format!("{}: {op}", op.line),
        [first, .., last] => format!("operations of lines {} to {}", first.line, last.line),
        [] => String::new(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Fake, all_ok};
    use parallax_trace::Trace;

    #[test]
    fn an_error_names_the_lines_of_what_is_performed_together() {
        let trace = Trace::parse("", "machine cpus=2\nnop\ntogether\nnop\ncpu=1 nop\nend\n").unwrap();
        let named = |ops: &[Op]| super::named(&ops.iter().collect::<Vec<_>>());
        assert_eq!(named(&trace.ops[..1]), "2: nop");
        assert_eq!(named(&trace.ops[1..]), "operations of lines 4 to 5");
    }

    #[test]
    fn digits_that_were_not_used_are_told() {
        let text = "machine cpus=2\ntogether 0011\nnop\ncpu=1 nop\nend\ntogether\nnop\ncpu=1 nop\nend\n";
        let trace = Trace::parse("", text).unwrap();
        // It does all of it without a choice.
        let mut machine = Fake::new(&trace.machine, all_ok);
        let options = RunOptions {
            reproducer: Reproducer::new(["run"]),
            recorder: None,
            export: false,
            require: Requirements::default(),
        };
        let run = run_trace(&trace.ops, &mut machine, options, Mode::Step);
        let note = "operations of lines 3 to 4: the last 4 of the 4 digits of `together 0011` were not used: \
                    a single CPU could go on by then";
        assert_eq!(run.notes, [note]);
    }

    #[test]
    fn what_always_comes_out_is_no_question() {
        let text = "nop => ok\nnop\nhost_share_hyp pfn=ram\nhost_share_hyp pfn=ram => ok\n";
        let trace = Trace::parse("", text).unwrap();
        assert_eq!(trace.ops.iter().map(asks).collect::<Vec<_>>(), [false, false, false, true]);
    }
}
