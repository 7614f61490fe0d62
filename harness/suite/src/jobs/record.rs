//! One run of one trace.

use std::path::Path;

use parallax_engine::status::Failure;
use parallax_engine::{Reproducer, RunOptions, TraceRun, run_trace};
use parallax_machine::recording::Recorder;
use parallax_machine::{Backend, MachineError};

use super::options::Options;
use crate::cases::Case;

/// The command that runs `case` again.
pub(super) fn reproducer(case: &Case, options: &Options) -> Reproducer {
    let flags = options.flags.iter().cloned();
    Reproducer::new(std::iter::once("run".to_owned()).chain(flags).chain([case.name_here()]))
}

/// Runs it once, recording it into `path`, and keeps its events with `export`.
pub(super) fn record(
    case: &Case,
    backend: &dyn Backend,
    options: &Options,
    path: Option<&Path>,
    export: bool,
) -> Result<TraceRun, Failure> {
    let mut machine = backend.boot(&case.trace.machine)?;
    let recorder = path
        .map(|path| Recorder::create(path, backend.revision(), machine.target()).map_err(MachineError::from));
    let keep = RunOptions {
        reproducer: reproducer(case, options),
        recorder: recorder.transpose()?,
        export,
        require: options.require,
    };
    Ok(run_trace(&case.trace.ops, machine.as_mut(), keep, options.mode))
}
