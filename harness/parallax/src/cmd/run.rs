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
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parallax_engine::Mode;
use parallax_engine::live::LiveBoot;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_report::golden;
use parallax_report::report::{self, Beside, Format, Human};
use parallax_suite::cases;
use parallax_suite::jobs::{self, GoldenMode, Options};

use super::print;
use crate::cli::Run;
use crate::interrupt;

/// Runs it. Who asked for JSON gets it whatever happens.
pub(super) fn run(args: &Run) -> Result<Status> {
    let told = perform(args);
    if let (Err(error), Format::Json) = (&told, args.format) {
        let status = error.downcast_ref::<Failure>().map_or(Status::Setup, |failure| failure.status);
        let failure = Failure { status, message: format!("{error:#}") };
        print(&(report::json_failure(&failure)? + "\n"))?;
    }
    told
}

fn perform(args: &Run) -> Result<Status> {
    let begin = Instant::now();
    let mut cases = cases::load(&args.traces).map_err(Failure::from)?;
    if args.without_faults {
        cases.iter_mut().for_each(|case| case.trace.switch_fault_off());
    }
    if !args.machine.is_empty() {
        change_machines(&mut cases, &args.machine.join(" "))?;
    }
    if let Some((part, of)) = args.partition {
        cases = partition(cases, part, of);
    }
    if args.record.is_some() && cases.len() != 1 {
        let message = format!("--record takes one trace, {} are named", cases.len());
        return Err(Failure::usage(message).into());
    }
    let export = export(args, cases.len())?;
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
    let progress = progress(cases.len());
    progress.set_message("building");
    let mut boot = LiveBoot::build(&root, cases.iter().map(|case| &case.trace), &cancel)?;
    if !args.without_events {
        let remedy = "; --without-events does without check 5";
        boot = boot
            .with_events(&root)
            .map_err(|failure| Failure { message: failure.message + remedy, ..failure })?;
    }
    progress.set_message("running");
    let options = Options {
        jobs: job_count(args.jobs),
        golden: golden_mode(args),
        record: args.record.clone(),
        export,
        repeat: usize::from(args.repeat),
        mode: args.mode,
        flags: flags(args),
        events: !args.without_events,
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
    let orphans = orphans(args, &root)?;
    let all = if options.cancel.is_cancelled() { Status::Interrupted } else { Status::Same };
    let referenced = if orphans.is_empty() { Status::Same } else { Status::Diverged };
    let status = report::status(&reports).and(all).and(referenced);
    match &mut human {
        Some(human) => told = told.and_then(|()| human.summary(&reports, &orphans, begin.elapsed())),
        None => {
            if args.format != Format::Markdown {
                orphans.iter().for_each(|path| anstream::eprintln!("{path}: {}", report::ORPHAN));
            }
            print(&formatted(args.format, &reports, status, &Beside { since, orphans })?)?;
        }
    }
    report_broken_pipe(told).map_err(|error| Failure::usage(format!("standard output: {error}")))?;
    Ok(status)
}

/// Changes the machines of `cases`, and leaves those out, telling so, that do not fit it.
fn change_machines(cases: &mut Vec<cases::Case>, keys: &str) -> Result<(), Failure> {
    let mut refused = None;
    cases.retain_mut(|case| match case.trace.change_machine(keys) {
        Ok(()) => true,
        Err(error) => {
            anstream::eprintln!("left out: {}: {}, not {}", case.place.label, error.found, error.expected);
            refused = Some(error);
            false
        }
    });
    match refused {
        Some(error) if cases.is_empty() => Err(Failure::usage(error)),
        _ => Ok(()),
    }
}

/// The arguments that decide what comes of a trace.
fn flags(args: &Run) -> Vec<String> {
    let mut flags = Vec::new();
    if args.mode != Mode::Step {
        flags.extend(["--mode".to_owned(), value_name(args.mode)]);
    }
    flags.extend(args.machine.iter().flat_map(|keys| ["--machine".to_owned(), keys.clone()]));
    let switches = [("--without-faults", args.without_faults), ("--without-events", args.without_events)];
    flags.extend(switches.iter().filter(|(_, on)| *on).map(|(name, _)| (*name).to_owned()));
    if args.repeat != 1 {
        flags.extend(["--repeat".to_owned(), args.repeat.to_string()]);
    }
    flags
}

/// A value as the command line has it.
fn value_name(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Part `part` (from 1 on) of `of`. Neighbours are often alike and take alike: they go to different parts.
fn partition<T>(cases: Vec<T>, part: usize, of: usize) -> Vec<T> {
    cases.into_iter().skip(part - 1).step_by(of).collect()
}

/// The goldens in the folders that were run whose trace is gone, as seen from the project's root.
fn orphans(args: &Run, root: &Path) -> Result<Vec<String>, Failure> {
    let folders: Vec<PathBuf> = args.traces.iter().filter(|path| path.is_dir()).cloned().collect();
    let orphans = golden::orphans(&folders).map_err(Failure::usage)?;
    Ok(orphans.iter().map(|path| path.strip_prefix(root).unwrap_or(path).display().to_string()).collect())
}

/// The file that the events of the one trace go to.
fn export(args: &Run, traces: usize) -> Result<Option<PathBuf>, Failure> {
    let [format, file] = &args.export[..] else { return Ok(None) };
    if format != "casemate" {
        let format = format.to_string_lossy();
        return Err(Failure::usage(format!("--export: no format `{format}`; there is casemate")));
    }
    if traces != 1 {
        return Err(Failure::usage(format!("--export takes one trace, {traces} are named")));
    }
    Ok(Some(file.into()))
}

/// That the reader of our output went away is no error.
fn report_broken_pipe(told: std::io::Result<()>) -> Result<()> {
    match told {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        told => told.and_then(|()| std::io::stdout().flush()).context("standard output"),
    }
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

/// How many traces to run at a time: as the user says, or one for each core.
pub(super) fn job_count(jobs: Option<u16>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    jobs.map_or_else(cores, usize::from)
}

const fn golden_mode(args: &Run) -> GoldenMode {
    match (args.accept, args.no_golden || args.without_faults || !args.machine.is_empty()) {
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{flags, partition};
    use crate::cli::{Cli, Command};

    #[test]
    fn a_run_is_repeated_with_what_makes_it_what_it_is() {
        let words =
            ["parallax", "run", "--mode", "stream", "--machine", "cpus=2", "--machine", "smmu.map=pages"];
        let all = [&words[..], &["--without-faults", "--jobs", "3", "--format", "json"]].concat();
        let Command::Run(args) = Cli::parse_from(all).command else { panic!("it is `run`") };
        assert_eq!(flags(&args), [&words[2..], &["--without-faults"]].concat());
        let Command::Run(args) = Cli::parse_from(["parallax", "run"]).command else { panic!("it is `run`") };
        assert!(flags(&args).is_empty());
    }

    #[test]
    fn the_parts_together_are_everything_once() {
        let all: Vec<usize> = (0..23).collect();
        for of in 1..30 {
            let mut parts: Vec<usize> = (1..=of).flat_map(|part| partition(all.clone(), part, of)).collect();
            parts.sort_unstable();
            assert_eq!(parts, all);
        }
    }
}
