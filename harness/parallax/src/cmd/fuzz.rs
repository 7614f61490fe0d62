//! `parallax fuzz`: weighted random operations that know the state.
//!
//! ```text
//! seed 1, 100000 operations on 13 machines
//!                       operations
//!  succeeds                  48211
//!  ...
//! digest 0123456789abcdef
//! nothing found
//! ```

mod beside;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::Result;
use indicatif::ProgressBar;
use parallax_engine::live;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_fuzz::document::Fuzzed;
use parallax_fuzz::explore::Shard;
use parallax_fuzz::fuzz::{self, Plan, Progress, Report, summary, trouble_text};
use parallax_machine::place::folder_of;
use parallax_machine::{Backend, CancellationToken};
use parallax_suite::jobs::job_count;

use super::output::{print, print_document};
use super::outputs::{beside_a_document, can_be_saved, of_trace, save_silently, tell, written};
use super::{nothing_found, progress};
use crate::cli::Fuzz;
use crate::interrupt;

/// Runs it.
pub(super) fn fuzz(args: &Fuzz) -> Result<Status> {
    can_be_saved(args.save.as_ref())?;
    if !args.target.is_empty() {
        return beside::run(args);
    }
    let cancel = interrupt::token()?;
    let root = project::root(&[])?;
    let plan = Plan {
        seed: args.seed,
        ops: args.most(),
        time: args.time,
        jobs: job_count(args.jobs),
        shard: args.shard.unwrap_or(Shard { index: 0, count: 1 }),
        fault: args.fault,
        corpus: args.corpus.clone(),
    };
    tell_corpus(&plan)?;
    let backend = live::build(&root, [&plan.machine()], &cancel)?;
    let backend = live::with_events_and_coverage(backend, &root)?;
    let begin = Instant::now();
    let mut report = run_with_progress(&plan, &backend, &cancel)?;
    let (ops, seconds) = (report.counts.ops(), begin.elapsed().as_secs_f64());
    // A clock is for who watches, and for nothing that is compared.
    parallax_engine::note!(
        "{ops} operations in {seconds:.1} s, {:.0} ops/s, booting included",
        ops as f64 / seconds
    );
    let interrupted = report.interrupted.then(|| goes_on(&plan, &report));
    if args.format.is_json() {
        if let Some(path) = &args.save {
            let found = trace(&plan, &report, &backend, &cancel)?;
            found.map_or(Ok(()), |(text, _)| save_silently(path, &with_tree(&text, path, &root)?))?;
            report.interrupted |= report.trouble.is_some() && cancel.is_cancelled();
        }
        print_document(&Fuzzed::new(&plan, &report))?;
        if report.trouble.is_some() {
            return Ok(beside_a_document(report.interrupted));
        }
        return Ok(
            kept(&plan, &report).and(nothing_found::beside_a_document(plan.fault, interrupted.as_deref()))
        );
    }
    // What is printed may reach nobody any more: what was found is saved all the same.
    let told = print(&summary(&plan, &report));
    let Some(trouble) = &report.trouble else {
        told?;
        return Ok(nothing_found::tell(plan.fault, interrupted.as_deref())?.and(kept(&plan, &report)));
    };
    let told = told.and_then(|()| print(&trouble_text(&plan, trouble)));
    let Some((text, shown)) = trace(&plan, &report, &backend, &cancel)? else { return Ok(Status::Diverged) };
    let (text, unsaved) = match &args.save {
        Some(path) => match with_tree(&text, path, &root) {
            Ok(text) => (text, None),
            Err(failure) => (fuzz::with_tree_of(&root, &text), Some(failure)),
        },
        None => (fuzz::with_tree_of(&root, &text), None),
    };
    let saved = written(args.save.as_deref().filter(|_| unsaved.is_none()), &text);
    told?;
    let status = of_trace(cancel.is_cancelled(), shown, "operations without a stop between them")?;
    if let Some(failure) = unsaved {
        // It took time to find.
        print(&format!("as a trace:\n{text}"))?;
        return Err(failure.into());
    }
    tell(args.save.as_deref(), saved, &text)?;
    Ok(status)
}

/// How a run goes on that the user ended.
fn goes_on(plan: &Plan, report: &Report) -> String {
    match (&plan.corpus, &report.unkept) {
        (Some(folder), None) if report.kept != 0 => {
            format!("{} has what is new: a run with it begins there", folder.display())
        }
        (Some(_), _) => "the same command begins anew".to_owned(),
        (None, _) => {
            "the same command begins anew; with --corpus DIR a run begins where another one ended".to_owned()
        }
    }
}

/// How a run ends in which nothing was found: what is new must be in the corpus.
fn kept(plan: &Plan, report: &Report) -> Status {
    let Some((why, folder)) = report.unkept.as_ref().zip(plan.corpus.as_ref()) else { return Status::Same };
    parallax_engine::note!("error: --corpus {}: what is new could not be kept: {why}", folder.display());
    Status::Setup
}

/// What was found as a trace, and whether that shows it, if that is known.
fn trace(
    plan: &Plan,
    report: &Report,
    backend: &dyn Backend,
    cancel: &CancellationToken,
) -> Result<Option<(String, Option<bool>)>, Failure> {
    if report.trouble.is_none() {
        return Ok(None);
    }
    fuzz::found(plan, report, backend, cancel).map_err(Failure::from)
}

/// `text` as it is to be saved at `path`: its device tree, if it has one, goes into the same folder. A pipe has none: then it is that of the
/// source tree at `root`.
fn with_tree(text: &str, path: &Path, root: &Path) -> Result<String, Failure> {
    if path.exists() && !path.is_file() {
        return Ok(fuzz::with_tree_of(root, text));
    }
    let cannot = |error| Failure::file(format_args!("{}: cannot be written", path.display()), &error);
    fuzz::with_tree_in(folder_of(path), text).map_err(cannot)
}

/// Makes the corpus, where there is none, and says what it has: a slip in its name is seen before the night is over.
fn tell_corpus(plan: &Plan) -> Result<(), Failure> {
    let Some((given, folder)) = plan.begin()?.zip(plan.corpus.as_ref()) else { return Ok(()) };
    let what = match given {
        0 => "a new corpus".to_owned(),
        1 => "a corpus of 1 trace".to_owned(),
        _ => format!("a corpus of {given} traces"),
    };
    parallax_engine::note!("{}: {what}", folder.display());
    Ok(())
}

/// Runs the plan with a progress bar, where a person watches.
fn run_with_progress(
    plan: &Plan,
    backend: &dyn Backend,
    cancel: &CancellationToken,
) -> Result<Report, Failure> {
    let template = "fuzzing {wide_bar} {human_pos} of {human_len}, {per_sec}, {msg}, {elapsed}";
    let bar = progress::bar(plan.ops, template);
    let done = Progress::default();
    let show = |bar: &ProgressBar| {
        let [ops, code, states] =
            [&done.ops, &done.instructions, &done.states].map(|count| count.load(Ordering::Relaxed));
        bar.set_position(ops);
        bar.set_message(format!("{code} instructions, {states} states, nothing found"));
    };
    progress::during(&bar, show, || plan.run(backend, cancel, &done))
}
