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

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::print;
use crate::cli::{Mode, Run};
use crate::interrupt;
use crate::jobs::{self, GoldenMode, Options};
use crate::live::LiveBoot;
use crate::project;
use crate::report::{self, Format, Human};
use crate::status::{Failure, Status};
use crate::suite;

/// Runs it.
pub(super) fn run(args: &Run) -> Result<Status> {
    let begin = Instant::now();
    let mut cases = suite::load(&args.traces).map_err(Failure::from)?;
    if args.without_faults {
        cases.iter_mut().for_each(|case| case.trace.switch_fault_off());
    }
    if args.record.is_some() && cases.len() != 1 {
        let message = format!("--record takes one trace, {} are named", cases.len());
        return Err(Failure::usage(message).into());
    }
    let cancel = interrupt::token()?;
    let hints: Vec<PathBuf> = cases.iter().map(|case| case.place.golden.clone()).collect();
    let root = project::root(&hints)?;
    let progress = progress(cases.len());
    progress.set_message("building");
    let mut boot = LiveBoot::build(&root, cases.iter().map(|case| &case.trace), &cancel)?;
    // A recording holds what the plugin saw, for `parallax explain`.
    if args.mode == Mode::Stream || args.record.is_some() {
        boot = boot.with_events(&root)?;
    }
    progress.set_message("running");
    let options = Options {
        jobs: job_count(args.jobs),
        golden: golden_mode(args),
        record: args.record.clone(),
        repeat: usize::from(args.repeat),
        mode: args.mode,
        cancel,
    };
    let mut human = (args.format == Format::Human).then(|| Human::new(anstream::stdout()));
    let mut told = Ok(());
    let reports = jobs::run(&cases, &boot, &options, |report| {
        if let Some(human) = &mut human {
            let result = progress.suspend(|| human.trace(report));
            told = std::mem::replace(&mut told, Ok(())).and(result);
        }
        progress.inc(1);
    });
    progress.finish_and_clear();
    match &mut human {
        Some(human) => told = told.and_then(|()| human.summary(&reports, begin.elapsed())),
        None => print(&formatted(args.format, &reports)?)?,
    }
    report_broken_pipe(told)?;
    let all = if options.cancel.is_cancelled() { Status::Interrupted } else { Status::Same };
    Ok(report::status(&reports).and(all))
}

/// That the reader of our output went away is no error.
fn report_broken_pipe(told: std::io::Result<()>) -> std::io::Result<()> {
    match told {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        told => told.and_then(|()| std::io::stdout().flush()),
    }
}

fn formatted(format: Format, reports: &[report::TraceReport]) -> Result<String> {
    Ok(match format {
        Format::Json => report::json(reports)? + "\n",
        Format::Junit => report::junit(reports)?,
        Format::Human | Format::Markdown => report::markdown(reports),
    })
}

/// How many traces to run at a time: as the user says, or one for each core.
pub(super) fn job_count(jobs: Option<u16>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    jobs.map_or_else(cores, usize::from)
}

const fn golden_mode(args: &Run) -> GoldenMode {
    match (args.accept, args.no_golden || args.without_faults) {
        (true, _) => GoldenMode::Accept,
        (false, true) => GoldenMode::Ignore,
        (false, false) => GoldenMode::Compare,
    }
}

/// A progress bar, shown only where a person watches.
pub(super) fn progress(cases: usize) -> ProgressBar {
    let watched = std::io::stderr().is_terminal();
    let target = if watched { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(cases as u64), target);
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}, {elapsed}");
    let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
