//! `parallax attack`: a hostile host.
//!
//! ```text
//! seed 1, 100000 operations on 25 machines
//!              operations  accepted  refused  aborted  other
//!  registers         8123      7001        0     1122      0
//!  ...
//! digest 0123456789abcdef
//! nothing found
//! ```

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use indicatif::ProgressBar;
use parallax_abi::fault::Fault;
use parallax_engine::live;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_fuzz::document::Attacked;
use parallax_fuzz::{MACHINE_OPS, Plan, Report, summary, trouble_text};
use parallax_machine::{Backend, CancellationToken};
use parallax_suite::jobs::job_count;

use super::output::{print, print_document};
use super::outputs::{can_be_saved, of_trace, save_silently, say_saved, tell, written};
use super::{nothing_found, progress};
use crate::cli::Attack;
use crate::interrupt;

/// Runs it.
pub(super) fn attack(args: &Attack) -> Result<Status> {
    can_be_saved(args.save.as_ref())?;
    let cancel = interrupt::token()?;
    let root = project::root(&[])?;
    let (seed, ops) = args.replay.unwrap_or((args.seed, args.ops));
    let jobs = job_count(args.jobs);
    let plan = Plan { seed, ops, cpus: args.cpus, fault: args.fault, jobs, cut: args.replay.is_some() };
    let backend = live::build(&root, [&plan.machine(0)], &cancel)?;
    // Of a replay only the last machine is of interest.
    let first = if args.replay.is_some() { plan.machines() - 1 } else { 0 };
    let report = run_with_progress(&plan, first, &backend, &cancel)?;
    if args.format.is_json() {
        return document(args, &plan, &report, &backend, &cancel);
    }
    // What is printed may reach nobody any more: what was found is saved all the same.
    let told = print(&summary(&plan, first, &report));
    let Some(trouble) = &report.trouble else {
        if let (Some(path), Some(text)) = (&args.save, replayed(args, &plan, &report)) {
            let saved = written(Some(path), &text);
            told?;
            say_saved(path, saved, &text)?;
        } else {
            told?;
        }
        return nothing_found::tell(must_show(args), goes_on(&report));
    };
    let told = told.and_then(|()| print(&trouble_text(&plan, trouble)));
    let shrink = args.replay.is_none();
    let trace = plan.trace(&report, shrink, &backend, &cancel).map_err(Failure::from)?;
    let Some((text, shown)) = trace else { return Ok(Status::Diverged) };
    let saved = written(args.save.as_deref(), &text);
    told?;
    let status = of_trace(cancel.is_cancelled(), shown, "operations without a stop between them")?;
    tell(args.save.as_deref(), saved, &text)?;
    Ok(status)
}

/// The fault that must show. What is replayed may end before it does.
fn must_show(args: &Attack) -> Option<Fault> {
    args.fault.filter(|_| args.replay.is_none())
}

/// What a replay that came to its end performed, as a trace.
fn replayed(args: &Attack, plan: &Plan, report: &Report) -> Option<String> {
    (args.replay.is_some() && !report.interrupted).then(|| plan.performed(report))
}

/// How a run goes on that the user ended.
fn goes_on(report: &Report) -> Option<&'static str> {
    report.interrupted.then_some("the same command begins anew")
}

/// The same for programs. The trace of what was found is for `--save` alone.
fn document(
    args: &Attack,
    plan: &Plan,
    report: &Report,
    backend: &dyn Backend,
    cancel: &CancellationToken,
) -> Result<Status> {
    if let Some(path) = &args.save {
        let shrink = args.replay.is_none();
        let found = plan.trace(report, shrink, backend, cancel).map_err(Failure::from)?;
        let text = found.map(|(text, _)| text).or_else(|| replayed(args, plan, report));
        text.map_or(Ok(()), |text| save_silently(path, &text))?;
    }
    print_document(&Attacked::new(plan, report))?;
    Ok(if report.trouble.is_some() {
        Status::Diverged
    } else {
        nothing_found::beside_a_document(must_show(args), goes_on(report))
    })
}

/// Runs the plan with a progress bar, where a person watches.
fn run_with_progress(
    plan: &Plan,
    first: usize,
    backend: &dyn Backend,
    cancel: &CancellationToken,
) -> Result<Report, Failure> {
    let total = plan.ops - first as u64 * MACHINE_OPS;
    let bar = progress::bar(total, "attacking {wide_bar} {human_pos}/{human_len}, {elapsed}");
    let done = AtomicU64::new(0);
    let show = |bar: &ProgressBar| bar.set_position(done.load(Ordering::Relaxed));
    progress::during(&bar, show, || plan.run(first, backend, cancel, &done)).map_err(Failure::from)
}
