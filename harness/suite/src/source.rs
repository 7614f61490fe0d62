//! States one after the other, from a trace that is performed or from a recording.

use std::fs::{self, File};
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::Path;

use parallax_abi::journal::Record;
use parallax_engine::live;
use parallax_engine::project;
use parallax_engine::recorded::{self, AND};
use parallax_engine::status::Failure;
use parallax_engine::{Mode, Observer, Session};
use parallax_machine::recording::{self, Replay};
use parallax_machine::scratch::Scratch;
use parallax_machine::{Backend, CancellationToken, Machine, MachineError, Registers, Target};
use parallax_model::{Context, Finding, Snapshot, Span, Told};
use parallax_report::operation_events::{self, Code};
use parallax_vmsa::PhysMem;

use crate::cases::{self, Case};
use crate::performed;

/// The state after an operation.
pub struct Moment<'a> {
    /// Line of the operation; 0 for the boot.
    pub line: usize,
    /// The lines of all that were performed at once, its own first: each stands for all of them.
    pub lines: &'a [usize],
    /// Its canonical text; of several that were performed at once, that of each.
    pub text: &'a str,
    /// Its result, without values (a clock or old memory may differ from run to run); empty for the boot.
    pub result: &'a str,
    /// The state.
    pub snapshot: &'a Snapshot,
    /// What was found after it and not before, as goldens have it.
    pub findings: &'a [String],
    /// What the plugin saw of it; nothing without one.
    pub events: &'a [Record],
    /// Instructions at EL2 since power-on, where that is known.
    pub executed: Option<u64>,
    /// The SMMU's command queue.
    pub queue: Span,
    /// Who knows the instructions that the events name.
    pub code: Code<'a>,
    /// The registers.
    pub registers: &'a Registers,
    /// Physical memory; of a recording only what the snapshot read.
    pub memory: &'a dyn PhysMem,
    /// What the checks have to know of the machine.
    pub context: &'a Context,
    /// Where the hypervisor has what it keeps account of.
    pub told: &'a Told,
}

/// A trace or a recording.
pub enum Source {
    /// A trace, to be performed.
    Trace(Box<Case>),
    /// A recording.
    Recording(Box<Replay>),
}

/// Whether a recording is at `path`: its name ends in `.plx`, or it begins as one does, whatever its name is.
#[must_use]
pub fn is_recording(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "plx") || begins_as_one(path)
}

/// Whether the file at `path` begins as a recording. What is no file is not read: a pipe would be waited for.
fn begins_as_one(path: &Path) -> bool {
    let mut bytes = [0; 4];
    let is_file = fs::metadata(path).is_ok_and(|there| there.is_file());
    is_file
        && File::open(path).and_then(|mut file| file.read_exact(&mut bytes)).is_ok()
        && recording::begins(&bytes)
}

impl Source {
    /// Opens `path`, a recording as [`is_recording`] has it, or a trace, with `machine` (`key=value`) in place of what its own machine line
    /// says.
    ///
    /// # Errors
    /// It cannot be read, or is malformed; `machine` with a recording.
    pub fn open(path: &Path, machine: &[String]) -> Result<Self, Failure> {
        if is_recording(path) {
            if !machine.is_empty() {
                return Err(Failure::usage(format!(
                    "{}: the machine of a recording is what it was",
                    path.display()
                )));
            }
            let replay = Replay::open(path).map_err(MachineError::from)?;
            return Ok(Self::Recording(Box::new(replay)));
        }
        if path.is_dir() {
            return Err(Failure::usage(format!("{}: a folder; name one trace or recording", path.display())));
        }
        let mut cases = cases::load(&[path.to_owned()])?;
        let mut case = cases.pop().ok_or_else(|| Failure::usage("no trace"))?;
        if !machine.is_empty() {
            case.trace.change_machine(&machine.join(" ")).map_err(Failure::usage)?;
        }
        Ok(Self::Trace(Box::new(case)))
    }

    /// Shows each state to `visit`, from the boot on, until it breaks off. A trace is performed in `mode`, with the plugin if `events`
    /// are wanted or the mode needs it; a recording has those that were recorded.
    ///
    /// # Errors
    /// The machine cannot be built, booted or read; the recording is damaged.
    pub fn visit(
        self,
        (events, mode): (bool, Mode),
        cancel: &CancellationToken,
        visit: impl FnMut(&Moment<'_>) -> ControlFlow<()>,
    ) -> Result<(), Failure> {
        match self {
            Self::Trace(case) => perform(&case, (events, mode), cancel, visit),
            Self::Recording(replay) => replay_all(*replay, cancel, visit),
        }
    }
}

fn queue_of(target: &Target) -> Span {
    let info = target.info_or_zero();
    Span::new(info.cmdq_pa, info.cmdq_size)
}

fn perform(
    case: &Case,
    (events, mode): (bool, Mode),
    cancel: &CancellationToken,
    visit: impl FnMut(&Moment<'_>) -> ControlFlow<()>,
) -> Result<(), Failure> {
    let root = project::root(std::slice::from_ref(&case.place.golden))?;
    let hyp = live::build(&root, [&case.trace], cancel)?;
    let hyp = if events || mode == Mode::Stream { live::with_events(hyp, &root)? } else { hyp };
    perform_on((&hyp, mode), case, cancel, visit)
}

/// Performs `case` on a machine of `backend` that is driven in `mode`, and shows each state to `visit`, from the boot on, until it
/// breaks off. [`Mode::Stream`] needs the plugin.
///
/// # Errors
/// The machine cannot be booted or read.
pub fn perform_on(
    (backend, mode): (&dyn Backend, Mode),
    case: &Case,
    cancel: &CancellationToken,
    mut visit: impl FnMut(&Moment<'_>) -> ControlFlow<()>,
) -> Result<(), Failure> {
    if mode == Mode::Stream {
        // Between two stops there is no machine to look at: what was seen of it is recorded.
        let folder = Scratch::new().map_err(|error| Failure::file(std::env::temp_dir().display(), &error))?;
        let path = performed::record(backend, case, &case.trace.ops, mode, folder.path())?;
        return replay_all(Replay::open(&path).map_err(MachineError::from)?, cancel, visit);
    }
    let mut machine = backend.boot(&case.trace.machine)?;
    let (mut session, found) = Session::start(machine.as_mut(), None)?;
    let booted = Some(session.boot_instructions()).filter(|count| *count != 0);
    let mut show = |session: &Session<'_>,
                    (lines, text, result): (&[usize], &str, &str),
                    findings: &[Finding],
                    events: &[Record]| {
        let line = lines[0];
        visit(&Moment {
            line,
            lines,
            text,
            result,
            findings: &findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            events,
            executed: operation_events::instructions(events).or(booted.filter(|_| line == 0)),
            queue: queue_of(session.machine().target()),
            code: Code::Live(session.machine().symbols()),
            snapshot: session.snapshot(),
            registers: session.registers(),
            memory: session.machine().memory(),
            context: session.context(),
            told: &session.machine().target().told,
        })
    };
    if show(&session, (&[0], "boot", ""), &found, &[]).is_break() {
        return Ok(());
    }
    let mut rest = &case.trace.ops[..];
    while !rest.is_empty() {
        let steps = session.next(rest)?;
        let (done, others) = rest.split_at(steps.len());
        let lines: Vec<usize> = done.iter().map(|op| op.line).collect();
        let texts: Vec<String> = done.iter().map(ToString::to_string).collect();
        let outcomes = steps.iter().map(|step| step.outcome.clone().without_value().to_string());
        let result = outcomes.collect::<Vec<_>>().join(AND);
        // What several did that were performed at once is the last one's.
        let events: Vec<Record> = steps.iter().flat_map(|step| step.events.iter().copied()).collect();
        let found: Vec<Finding> = steps.into_iter().flat_map(|step| step.findings).collect();
        if show(&session, (&lines, &texts.join(AND), &result), &found, &events).is_break() {
            return Ok(());
        }
        rest = others;
    }
    Ok(())
}

fn replay_all(
    mut replay: Replay,
    cancel: &CancellationToken,
    mut visit: impl FnMut(&Moment<'_>) -> ControlFlow<()>,
) -> Result<(), Failure> {
    let mut observer = Observer::new(replay.target());
    loop {
        if cancel.is_cancelled() {
            return Err(MachineError::Cancelled.into());
        }
        let registers = replay.registers()?;
        let snapshot = observer.observe(replay.memory(), &registers);
        let operation = replay.operation();
        let moment = Moment {
            line: operation.line as usize,
            lines: &operation.lines().collect::<Vec<_>>(),
            text: &operation.text,
            result: &recorded::result(operation),
            findings: &operation.findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            events: &operation.events,
            executed: operation_events::instructions(&operation.events),
            queue: queue_of(replay.target()),
            code: Code::Recorded(&replay),
            snapshot: &snapshot,
            registers: &registers,
            memory: replay.memory(),
            context: observer.context(),
            told: &replay.target().told,
        };
        if visit(&moment).is_break() || !replay.step().map_err(MachineError::from)? {
            return Ok(());
        }
    }
}

/// There is no operation in line `op`, but in `lines`.
#[must_use]
pub fn unknown(op: usize, lines: impl IntoIterator<Item = usize>) -> Failure {
    let known: Vec<String> = lines.into_iter().map(|line| line.to_string()).collect();
    Failure::usage(format!("no operation {op}: operations are lines {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_known_by_its_name_or_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a.rec"), [0x28, 0xb5, 0x2f, 0xfd, 0]).unwrap();
        fs::write(at("a.trace"), "nop\n").unwrap();
        fs::write(at("short"), "n").unwrap();
        assert!(is_recording(&at("a.rec")) && is_recording(&at("nowhere.plx")));
        assert!(![at("a.trace"), at("short"), at("nowhere")].iter().any(|path| is_recording(path)));
        assert!(!is_recording(folder.path()) && !is_recording(Path::new("/dev/null")));
    }
}
