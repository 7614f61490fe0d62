//! Runs a trace again and again: the same input must give the same bytes.

use std::fs;

use parallax_engine::TraceRun;
use parallax_engine::status::{Failure, Status};
use parallax_machine::Backend;
use parallax_machine::scratch::Scratch;

use super::options::Options;
use super::record::record;
use crate::cases::Case;

/// Runs `case` `times` times more. The text of each run must be that of `first`, and all recordings must be equal.
///
/// # Errors
/// A run fails or differs.
pub(super) fn same_again(
    case: &Case,
    backend: &dyn Backend,
    options: &Options,
    first: &TraceRun,
    times: usize,
) -> Result<(), Failure> {
    let folder = Scratch::new().map_err(differs)?;
    let mut before: Option<Vec<u8>> = None;
    for run in 2..times + 2 {
        let path = folder.path().join("run.plx");
        let run_again = record(case, backend, options, Some(&path), false)?;
        if run_again.golden != first.golden {
            return Err(differs(format!("run {run} of {} gave another result than run 1", times + 1)));
        }
        let bytes = fs::read(&path).map_err(differs)?;
        if before.as_ref().is_some_and(|before| *before != bytes) {
            return Err(differs(format!("run {run} of {} gave another recording than run 2", times + 1)));
        }
        before = Some(bytes);
    }
    Ok(())
}

fn differs(what: impl ToString) -> Failure {
    Failure { status: Status::Diverged, message: what.to_string() }
}
