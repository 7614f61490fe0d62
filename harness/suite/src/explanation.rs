//! What an operation did, told of a recording; a trace is performed and recorded first, so that there is one way to tell it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use parallax_engine::Session;
use parallax_engine::recorded;
use parallax_engine::status::Failure;
use parallax_machine::recording::{RecordedFinding, Recorder, Replay};
use parallax_machine::{Backend, MachineError};
use parallax_report::explain::{self, Wanted};
use parallax_trace::Op;

use crate::cases::Case;

/// What is known of an operation.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Which stores changed tables, and what followed.
    pub story: String,
    /// What was found after it.
    pub findings: Vec<RecordedFinding>,
}

/// The story of the operation in line `op` of `case`, the trace at `source`, on a machine that `backend` boots with the
/// plugin.
///
/// # Errors
/// There is no such operation, or the machine fails.
pub fn story(backend: &dyn Backend, case: &Case, source: &Path, op: usize, wanted: Wanted) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let path = record(backend, case, op, folder.path())?;
    Ok(of_recording(&path, source, heading(&case.trace.ops, op), wanted)?.story)
}

/// The line of the first of those that are performed at once with the operation in line `line`; that line where it is alone.
fn heading(ops: &[Op], line: usize) -> usize {
    let heads = ops.iter().enumerate().filter_map(|(first, op)| Some((first, op.at_once.as_ref()?.count)));
    let mut groups = heads.filter_map(|(first, count)| ops.get(first..first + count));
    let group = groups.find(|group| group.iter().any(|op| op.line == line));
    group.map_or(line, |group| group[0].line)
}

/// Records `case` into `folder`, up to the operation in line `op`.
///
/// # Errors
/// There is no such operation, or the machine fails.
pub fn record(backend: &dyn Backend, case: &Case, op: usize, folder: &Path) -> Result<PathBuf> {
    let ops = &case.trace.ops;
    let last = ops.iter().position(|known| known.line == op).ok_or_else(|| unknown(op))?;
    let mut machine = backend.boot(&case.trace.machine).map_err(Failure::from)?;
    let path = folder.join("trace.plx");
    let recorder = Recorder::create(&path, backend.revision(), machine.target())?;
    let (mut session, _) = Session::start(machine.as_mut(), Some(recorder)).map_err(Failure::from)?;
    let mut next = 0;
    while next <= last {
        next += session.next(&ops[next..]).map_err(Failure::from)?.len();
    }
    session.finish().map_err(Failure::from)?;
    Ok(path)
}

/// The explanation of the operation in line `op` of the recording at `path`, which the user knows as `source`.
///
/// # Errors
/// There is no such operation; the recording is damaged, or was made without the plugin.
pub fn of_recording(path: &Path, source: &Path, op: usize, wanted: Wanted) -> Result<Explanation> {
    let open = || Replay::open(path).map_err(MachineError::from).map_err(Failure::from);
    let (mut before, mut after) = (open()?, open()?);
    let mut reached = false;
    while !reached && after.step()? {
        reached = after.operation().line as usize == op;
    }
    if !reached {
        return Err(unknown(op).into());
    }
    if after.operation().events.is_empty() {
        let path = source.display();
        return Err(Failure::usage(format!(
            "{path}: recorded without the plugin: record it again (parallax run TRACE --record {path})"
        ))
        .into());
    }
    let story = explain::story(&mut before, &mut after, wanted)?;
    let operation = after.operation();
    let result = recorded::result(operation);
    let story = format!("{}: {} -> {result}\n{story}", operation.line, operation.text);
    Ok(Explanation { story, findings: operation.findings.clone() })
}

fn unknown(op: usize) -> Failure {
    Failure::usage(format!("no operation in line {op}"))
}
