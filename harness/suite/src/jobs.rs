//! Many traces side by side, told of in order.

mod repeat;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use parallax_engine::Boot;
use parallax_engine::Mode;
use parallax_engine::Reproducer;
use parallax_engine::status::Failure;
use parallax_engine::{Keep, TraceRun, run_trace};
use parallax_machine::recording::Recorder;
use parallax_machine::{CancellationToken, MachineError};
use parallax_report::golden::{self, Comparison, GoldenError, Place};
use parallax_report::report::{TraceReport, Verdict};
use parallax_report::whole_file;

use crate::cases::Case;

/// What to do with goldens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GoldenMode {
    /// Compare; leave what differs for a review.
    #[default]
    Compare,
    /// Take what came out.
    Accept,
    /// Leave them alone.
    Ignore,
}

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many traces at a time; at least one.
    pub jobs: usize,
    /// What to do with goldens.
    pub golden: GoldenMode,
    /// Where to record; for one trace only.
    pub record: Option<PathBuf>,
    /// Where to write its events as a Casemate trace; for one trace only.
    pub export: Option<PathBuf>,
    /// How often to run each trace; every run must give the same text and the same recording, byte for byte.
    pub repeat: usize,
    /// How to drive the machines.
    pub mode: Mode,
    /// The machines have the plugin: the order of events is judged.
    pub events: bool,
    /// Arguments of `parallax run` that make this run what it is, beside the trace.
    pub flags: Vec<String>,
    /// Nothing new begins once it is cancelled.
    pub cancel: CancellationToken,
}

/// Runs `cases` and hands each report to `tell`, in the order of `cases`. There is no report of a case that did not
/// begin because of a cancellation.
pub fn run(
    cases: &[Case],
    boot: &dyn Boot,
    options: &Options,
    mut tell: impl FnMut(&TraceReport),
) -> Vec<TraceReport> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let mut reports = Vec::with_capacity(cases.len());
    thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, cases.len().max(1)) {
            let sender = sender.clone();
            let next = &next;
            scope.spawn(move || {
                while !options.cancel.is_cancelled() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(index) else { break };
                    if sender.send((index, run_case(case, boot, options))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut expected = 0;
        for (index, report) in receiver {
            early.insert(index, report);
            while let Some(report) = early.remove(&expected) {
                tell(&report);
                reports.push(report);
                expected += 1;
            }
        }
    });
    reports
}

/// Runs one case and judges it.
fn run_case(case: &Case, boot: &dyn Boot, options: &Options) -> TraceReport {
    let begin = Instant::now();
    let failed = |Failure { status, message }| Verdict::Failed { status, message };
    let performed = perform(case, boot, options).and_then(|run| {
        let again = options.repeat.saturating_sub(1);
        if again != 0 && run.failure.is_none() {
            repeat::same_again(case, boot, options, &run, again)?;
        }
        Ok(run)
    });
    let (verdict, ops, findings) = match performed {
        Ok(TraceRun { ops, findings, failure: Some(failure), .. }) => (failed(failure), ops, findings),
        Ok(run) => {
            let verdict = judge(case, &run, options).unwrap_or_else(|error| failed(Failure::usage(error)));
            (verdict, run.ops, run.findings)
        }
        Err(failure) => (failed(failure), 0, Vec::new()),
    };
    let label = case.place.label.clone();
    let (bad, again) = (case.is_bad(), again(case, options));
    TraceReport { label, bad, ops, findings, verdict, elapsed: begin.elapsed(), again }
}

/// The command that runs `case` again.
fn again(case: &Case, options: &Options) -> Reproducer {
    let flags = options.flags.iter().cloned();
    Reproducer::new(std::iter::once("run".to_owned()).chain(flags).chain([case.name_here()]))
}

fn perform(case: &Case, boot: &dyn Boot, options: &Options) -> Result<TraceRun, Failure> {
    let run = record(case, boot, options, options.record.as_deref(), options.export.is_some())?;
    if let (Some(path), None) = (&options.export, &run.failure) {
        let text = run.exported.as_deref().unwrap_or_default();
        whole_file::write(path, text.as_bytes())
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    }
    Ok(run)
}

/// Runs it once, recording it into `path`, and keeps its events with `export`.
fn record(
    case: &Case,
    boot: &dyn Boot,
    options: &Options,
    path: Option<&Path>,
    export: bool,
) -> Result<TraceRun, Failure> {
    let mut machine = boot.boot(&case.trace)?;
    let recorder = path
        .map(|path| Recorder::create(path, boot.revision(), machine.target()).map_err(MachineError::from));
    let keep = Keep { again: again(case, options), recorder: recorder.transpose()?, export };
    let run = run_trace(&case.trace.ops, machine.as_mut(), keep, options.mode);
    boot.finished(&case.trace, machine.as_ref());
    Ok(run)
}

/// The verdict on a trace that got to its end. What can never be right does not become a golden; findings where none
/// may be wait for somebody who takes them in spite of that.
fn judge(case: &Case, run: &TraceRun, options: &Options) -> Result<Verdict, GoldenError> {
    let (place, mode) = (&case.place, options.golden);
    let found = !case.is_bad() && !run.findings.is_empty();
    if !run.checked && mode != GoldenMode::Ignore {
        golden::reject(&place.pending())?;
        return Ok(Verdict::Nothing);
    }
    let missed = case.is_bad() && run.findings.is_empty();
    if missed && (options.events || !golden::needs_events(place)?) {
        if mode != GoldenMode::Ignore {
            golden::reject(&place.pending())?;
        }
        return Ok(Verdict::Clean);
    }
    if mode == GoldenMode::Ignore {
        return Ok(if found { Verdict::Found } else { Verdict::Checked });
    }
    let comparison = golden::compare(place, &run.golden, options.events)?;
    match (comparison, mode) {
        (Comparison::Same, _) => {
            golden::reject(&place.pending())?;
            Ok(Verdict::Same)
        }
        (Comparison::Missing | Comparison::Different { .. }, _) if found => {
            leave(place, &run.golden);
            Ok(Verdict::Found)
        }
        (_, GoldenMode::Accept) => {
            golden::save(place, &place.golden, &run.golden)?;
            golden::reject(&place.pending())?;
            Ok(Verdict::Accepted)
        }
        (Comparison::Missing, _) => {
            leave(place, &run.golden);
            Ok(Verdict::New)
        }
        (Comparison::Different { diff }, _) => {
            leave(place, &run.golden);
            Ok(Verdict::Diverged { diff })
        }
    }
}

/// Leaves a result for a review. Where that cannot be written, what the run says of it still counts.
fn leave(place: &Place, text: &str) {
    if let Err(error) = golden::save(place, &place.pending(), text) {
        anstream::eprintln!("warning: {error}: the result of {} cannot wait for a review", place.label);
    }
}

#[cfg(test)]
#[path = "jobs_tests.rs"]
mod tests;
