//! What an operation did, told of a recording; a trace is performed and recorded first, so that there is one way to tell it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Result;
use parallax_engine::Mode;
use parallax_engine::recorded;
use parallax_engine::status::Failure;
use parallax_machine::recording::{RecordedFinding, Replay};
use parallax_machine::scratch::Scratch;
use parallax_machine::{Backend, MachineError};
use parallax_report::explain::{self, Wanted};
use parallax_trace::Op;

use crate::cases::Case;
use crate::performed;
use crate::source::unknown;

/// What is known of an operation.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Which stores changed tables, and what followed.
    pub story: String,
    /// What was found after it.
    pub findings: Vec<RecordedFinding>,
}

/// The story of the operation in line `op` of `case`, the trace at `source`, on a machine that `backend` boots with the
/// plugin and that is driven in `mode`.
///
/// # Errors
/// There is no such operation, or the machine fails.
pub fn story(
    (backend, mode): (&dyn Backend, Mode),
    case: &Case,
    source: &Path,
    op: usize,
    wanted: Wanted,
) -> Result<String> {
    let folder = Scratch::new()?;
    let path = record((backend, mode), case, op, folder.path())?;
    Ok(of_recording(&path, source, op, wanted)?.story)
}

/// Those that are performed at once with the operation in line `line`, as places in `ops`; that one where it is alone, none where
/// no operation is in that line.
fn group(ops: &[Op], line: usize) -> Range<usize> {
    let heads = ops.iter().enumerate().filter_map(|(first, op)| Some((first, op.at_once.as_ref()?.count)));
    let mut groups = heads.map(|(first, count)| first..(first + count).min(ops.len()));
    let Some(at) = ops.iter().position(|op| op.line == line) else { return 0..0 };
    groups.find(|group| group.contains(&at)).unwrap_or(at..at + 1)
}

/// Records `case` into `folder`, up to the operation in line `op`.
///
/// # Errors
/// There is no such operation, or the machine fails.
pub fn record(
    (backend, mode): (&dyn Backend, Mode),
    case: &Case,
    op: usize,
    folder: &Path,
) -> Result<PathBuf> {
    let ops = &case.trace.ops;
    match group(ops, op).end {
        0 => Err(unknown(op, ops.iter().map(|op| op.line)).into()),
        end => Ok(performed::record(backend, case, &ops[..end], mode, folder)?),
    }
}

/// The explanation of the operation in line `op` of the recording at `path`, which the user knows as `source`.
///
/// # Errors
/// There is no such operation; the recording is damaged, or was made without the plugin.
pub fn of_recording(path: &Path, source: &Path, op: usize, wanted: Wanted) -> Result<Explanation> {
    let open = || Replay::open(path).map_err(MachineError::from).map_err(Failure::from);
    let (mut before, mut after) = (open()?, open()?);
    let (mut reached, mut lines) = (false, Vec::new());
    while !reached && after.step()? {
        let first = lines.len();
        lines.extend(after.operation().lines());
        reached = lines[first..].contains(&op);
    }
    if !reached {
        return Err(unknown(op, lines).into());
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
