//! A trace that is performed once and recorded, so that there is one way to tell of it.

use std::path::{Path, PathBuf};

use parallax_engine::order::Requirements;
use parallax_engine::status::Failure;
use parallax_engine::{Mode, Reproducer, RunOptions, run_trace};
use parallax_machine::recording::Recorder;
use parallax_machine::{Backend, MachineError};
use parallax_trace::Op;

use crate::cases::Case;

/// Performs `ops`, the first ones of `case`, on a machine that `backend` boots and that is driven in `mode`, and records them into
/// `folder`. [`Mode::Stream`] needs the plugin.
///
/// # Errors
/// The machine cannot be booted, or fails; the recording cannot be written.
pub fn record(
    backend: &dyn Backend,
    case: &Case,
    ops: &[Op],
    mode: Mode,
    folder: &Path,
) -> Result<PathBuf, Failure> {
    let mut machine = backend.boot(&case.trace.machine)?;
    let path = folder.join("trace.plx");
    let recorder =
        Recorder::create(&path, backend.revision(), machine.target()).map_err(MachineError::from)?;
    let keep = RunOptions {
        reproducer: Reproducer::new([""; 0]),
        recorder: Some(recorder),
        export: false,
        require: Requirements::default(),
    };
    let run = run_trace(ops, machine.as_mut(), keep, mode);
    run.failure.map_or(Ok(path), Err)
}
