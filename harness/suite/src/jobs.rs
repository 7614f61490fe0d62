//! Many traces side by side, told of in order.

mod judge;
mod options;
mod record;
mod repeat;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use parallax_engine::TraceRun;
use parallax_engine::status::Failure;
use parallax_engine::visible;
use parallax_machine::Backend;
use parallax_machine::coverage::Executed;
use parallax_report::report::{TraceReport, Verdict};
use parallax_report::whole_file;

use self::judge::judge;
pub use self::options::{Export, ExportForm, GoldenMode, Options, job_count};
use self::record::{record, reproducer};
use crate::cases::Case;

/// Runs `cases` and hands each report to `tell`, in the order of `cases`, with what ran of the hypervisor where a plugin
/// noted it. There is no report of a case that did not begin because of a cancellation.
pub fn run(
    cases: &[Case],
    backend: &dyn Backend,
    options: &Options,
    mut tell: impl FnMut(&TraceReport, Option<Executed>),
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
                    if sender.send((index, run_case(case, backend, options))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut expected = 0;
        for (index, done) in receiver {
            early.insert(index, done);
            while let Some((report, executed)) = early.remove(&expected) {
                tell(&report, executed);
                reports.push(report);
                expected += 1;
            }
        }
    });
    reports
}

/// Runs one case and judges it; also gives what ran.
fn run_case(case: &Case, backend: &dyn Backend, options: &Options) -> (TraceReport, Option<Executed>) {
    let begin = Instant::now();
    let failed = |Failure { status, message }| Verdict::Failed { status, message };
    let mut executed = None;
    let performed = perform(case, backend, options).and_then(|mut run| {
        executed = run.executed.take();
        run.notes
            .iter()
            .for_each(|note| parallax_engine::note!("{}: {note}", visible::line(&case.place.label)));
        let more = options.repeat.saturating_sub(1);
        if more != 0 && run.failure.is_none() {
            repeat::same_again(case, backend, options, &run, more)?;
        }
        Ok(run)
    });
    let (verdict, ops, findings) = match performed {
        Ok(TraceRun { ops, findings, failure: Some(failure), .. }) => (failed(failure), ops, findings),
        Ok(run) => {
            let verdict = judge(case, &run, options).unwrap_or_else(|error| failed(error.into()));
            (verdict, run.ops, run.findings)
        }
        Err(failure) => (failed(failure), 0, Vec::new()),
    };
    let (label, name_here) = (case.place.label.clone(), case.name_here());
    let (bad, reproducer) = (case.is_bad(), reproducer(case, options));
    let elapsed = begin.elapsed();
    let (explain, waits) = (options.explain.clone(), options.golden.writes());
    let report =
        TraceReport { label, name_here, bad, ops, findings, verdict, elapsed, reproducer, explain, waits };
    (report, executed)
}

fn perform(case: &Case, backend: &dyn Backend, options: &Options) -> Result<TraceRun, Failure> {
    let run = record(case, backend, options, options.record.as_deref(), options.export.is_some())?;
    if let (Some(Export { form, path }), None) = (&options.export, &run.failure) {
        let text = run.exported.as_ref().map(|events| form.text(events)).unwrap_or_default();
        whole_file::write(path, text.as_bytes()).map_err(|error| Failure::file(path.display(), &error))?;
    }
    Ok(run)
}

#[cfg(test)]
#[path = "jobs_tests.rs"]
mod tests;
