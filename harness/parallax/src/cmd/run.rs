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

mod options;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use parallax_engine::Mode;
use parallax_engine::live;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_report::golden;
use parallax_report::report::{self, Beside, Format, Human};
use parallax_suite::{cases, jobs, selection};

use super::output::{self, print};
use super::progress;
use crate::cli::Run;
use crate::interrupt;

/// Runs it. Who asked for JSON gets it whatever happens.
pub(super) fn run(args: &Run) -> Result<Status> {
    let result = perform(args);
    if let (Err(error), Format::Json) = (&result, args.format) {
        let status = error.downcast_ref::<Failure>().map_or(Status::Setup, |failure| failure.status);
        let failure = Failure { status, message: format!("{error:#}") };
        print(&(report::json_failure(&failure)? + "\n"))?;
    }
    result
}

fn perform(args: &Run) -> Result<Status> {
    let begin = Instant::now();
    let mut cases = cases::load(&args.traces).map_err(Failure::from)?;
    if args.without_faults {
        cases.iter_mut().for_each(|case| case.trace.switch_fault_off());
    }
    if !args.machine.is_empty() {
        selection::change_machines(&mut cases, &args.machine.join(" "))?;
    }
    if let Some((part, of)) = args.partition {
        cases = selection::partition(cases, part, of);
    }
    if args.record.is_some() && cases.len() != 1 {
        let message = format!("--record takes one trace, {} are named", cases.len());
        return Err(Failure::usage(message).into());
    }
    let export = options::export(args, cases.len())?;
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
    let since = since.transpose().map_err(Failure::usage)?;
    let progress = progress::of_traces(cases.len());
    progress.set_message("building");
    let mut hyp = live::build(&root, cases.iter().map(|case| &case.trace), &cancel)?;
    if !args.without_events {
        let remedy = "; --without-events does without check 5";
        hyp = live::with_events(hyp, &root)
            .map_err(|failure| Failure { message: failure.message + remedy, ..failure })?;
    }
    progress.set_message("running");
    let options = options::options(args, export, cancel);
    let mut human = (args.format == Format::Human).then(|| Human::new(anstream::stdout()));
    let mut written = Ok(());
    let reports = jobs::run(&cases, &hyp, &options, |report, _| {
        if let Some(human) = &mut human {
            let result = progress.suspend(|| human.trace(report));
            written = std::mem::replace(&mut written, Ok(())).and(result);
        }
        progress.inc(1);
    });
    progress.finish_and_clear();
    let orphans = golden::orphan_names(&args.traces, &root).map_err(Failure::usage)?;
    let all = if options.cancel.is_cancelled() { Status::Interrupted } else { Status::Same };
    let referenced = if orphans.is_empty() { Status::Same } else { Status::Diverged };
    let status = report::status(&reports).and(all).and(referenced);
    match &mut human {
        Some(human) => written = written.and_then(|()| human.summary(&reports, &orphans, begin.elapsed())),
        None => {
            if args.format != Format::Markdown {
                orphans.iter().for_each(|path| anstream::eprintln!("{path}: {}", report::ORPHAN));
            }
            print(&formatted(args.format, &reports, status, &Beside { since, orphans })?)?;
        }
    }
    output::flushed(written).map_err(|error| Failure::usage(format!("standard output: {error}")))?;
    Ok(status)
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
