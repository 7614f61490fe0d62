//! `parallax run`: perform traces, check every state, compare with the goldens.
//!
//! ```text
//! same      traces/good/share.trace  5 operations, 0.41 s
//!
//!        traces  in order  not  operations  findings
//!  good  1       1         0    5           0
//!
//! all as agreed in 0.9 s
//! ```

pub(super) mod compare;
mod options;
pub(super) mod target;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use parallax_engine::Mode;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_engine::visible;
use parallax_report::golden;
use parallax_report::report::{self, Beside, Format, Human};
use parallax_suite::cases::{self, Case, SuiteError};
use parallax_suite::{jobs, selection};
use parallax_trace::TraceError;

use super::kinds::{self, Kind};
use super::output::{self, print, print_as_it_is, value_name};
use super::{outputs, progress, status_of};
use crate::cli::{Run, Target};
use crate::interrupt;

/// Runs it. Who asked for a form that a program reads gets it whatever happens.
pub(super) fn run(args: &Run) -> Result<Status> {
    let result = perform(args);
    if let Err(error) = &result {
        print_as_it_is(&not_run(args.format, error)?)?;
    }
    result
}

/// Why nothing could be run, in a form that a program reads; empty in one for people, who read it on standard error.
fn not_run(format: Format, error: &anyhow::Error) -> Result<String> {
    let failure = Failure { status: status_of(error), message: format!("{error:#}") };
    let malformed = match error.downcast_ref::<SuiteError>() {
        Some(SuiteError::Malformed(errors)) => &errors[..],
        _ => &[],
    };
    Ok(match format {
        Format::Human | Format::Markdown => String::new(),
        Format::Json => report::json_failure(&failure)? + "\n",
        Format::Junit => {
            let named = malformed.iter().map(|error| (error.path.clone(), error.to_string()));
            let whole = malformed.is_empty().then(|| ("run".to_owned(), failure.message));
            report::junit_failure(&named.chain(whole).collect::<Vec<_>>())?
        }
        Format::Github => {
            let place = |error: &TraceError| Some((error.path.clone(), error.line));
            let named = malformed.iter().map(|error| (place(error), error.to_string()));
            let whole = malformed.is_empty().then_some((None, failure.message));
            visible::lines(&report::github_failure(&named.chain(whole).collect::<Vec<_>>()))
        }
    })
}

fn perform(args: &Run) -> Result<Status> {
    let begin = Instant::now();
    let mut cases = cases::load_for(&args.traces, &value_name(args.on().target))?;
    if args.without_faults {
        cases.iter_mut().for_each(|case| case.trace.switch_fault_off());
    }
    if !args.machine.is_empty() {
        selection::change_machines(&mut cases, &args.machine.join(" "))?;
    }
    if let Some(on) = args.target.iter().find(|on| on.target == Target::Pkvm) {
        selection::leave_schedules_out(&mut cases, &on.to_string())?;
    }
    if let Some((part, of)) = args.partition {
        cases = selection::partition(cases, part, of);
    }
    if args.record.is_some() && cases.len() != 1 {
        let message = format!("--record takes one trace, {} are named", cases.len());
        return Err(Failure::usage(message).into());
    }
    if args.target.len() > 1 {
        return compare::run(args, &cases);
    }
    let export = options::export(args, cases.len())?;
    refuse_inputs(args, export.as_ref().map(|export| export.path.as_path()), &cases)?;
    target::check(args)?;
    if args.without_events && args.mode == Mode::Stream {
        return Err(Failure::usage("--mode stream needs the plugin; leave --without-events out").into());
    }
    if args.since.is_some() && args.format != Format::Markdown {
        return Err(Failure::usage("--since is told by --format markdown only").into());
    }
    let cancel = interrupt::token()?;
    let hints: Vec<PathBuf> = cases.iter().map(|case| case.place.golden.clone()).collect();
    let root = project::root(&hints)?;
    let since = args.since.as_ref().map(|revision| golden::since(&root, &args.traces, revision));
    let since = since.transpose().map_err(Failure::from)?;
    let progress = progress::of_traces(cases.len());
    progress.set_message("building");
    let backend = target::backend(args, &root, &cases, &cancel)?;
    progress.set_message("running");
    let options = options::options(args, export, target::has_agreed(args, &cases), cancel);
    let mut human = (args.format == Format::Human).then(|| Human::new(anstream::stdout()));
    let mut written = Ok(());
    let reports = jobs::run(&cases, &*backend, &options, |report, _| {
        if let Some(human) = &mut human {
            let result = progress.suspend(|| human.trace(report));
            written = std::mem::replace(&mut written, Ok(())).and(result);
        }
        progress.inc(1);
    });
    progress.finish_and_clear();
    let orphans = golden::orphan_names(&args.traces, &root).map_err(Failure::from)?;
    let all = if options.cancel.is_cancelled() { Status::Interrupted } else { Status::Same };
    let referenced = if orphans.is_empty() { Status::Same } else { Status::Diverged };
    let status = report::status(&reports).and(all).and(referenced);
    match &mut human {
        Some(human) => written = written.and_then(|()| human.summary(&reports, &orphans, begin.elapsed())),
        None => {
            if args.format != Format::Markdown {
                orphans
                    .iter()
                    .for_each(|path| parallax_engine::note!("{}: {}", visible::line(path), report::ORPHAN));
            }
            let text = formatted(args.format, &reports, status, &Beside { since, orphans })?;
            match args.format {
                Format::Json | Format::Junit => print_as_it_is(&text)?,
                Format::Human | Format::Github | Format::Markdown => print(&text)?,
            }
        }
    }
    output::flushed(written)?;
    Ok(status)
}

/// Refuses to write what the run reads or leaves, traces and their goldens, and where nothing can be written.
fn refuse_inputs(args: &Run, export: Option<&Path>, cases: &[Case]) -> Result<(), Failure> {
    let record = args.record.as_deref().map(|path| ("--record", path));
    let export = export.map(|path| ("--export", path));
    let written: Vec<_> = record.into_iter().chain(export).collect();
    let pending: Vec<PathBuf> = cases.iter().map(|case| case.place.pending()).collect();
    let traces = cases.iter().flat_map(|case| [Path::new(&case.trace.path), &case.place.golden]);
    let read: Vec<&Path> = traces.chain(pending.iter().map(PathBuf::as_path)).collect();
    outputs::apart(&written, &read)?;
    written.iter().try_for_each(|(argument, path)| outputs::can_be_written(argument, path))?;
    let of = |kind| move |(argument, path)| kinds::only_its_own(argument, path, kind);
    record.map_or(Ok(()), of(Kind::Recording))?;
    export.map_or(Ok(()), of(Kind::Events))
}

fn formatted(
    format: Format,
    reports: &[report::TraceReport],
    status: Status,
    beside: &Beside,
) -> Result<String> {
    Ok(match format {
        Format::Json => report::json(reports, status, &beside.orphans)? + "\n",
        Format::Junit => report::junit(reports)?,
        Format::Github => report::github(reports),
        Format::Human | Format::Markdown => report::markdown(reports, beside),
    })
}
