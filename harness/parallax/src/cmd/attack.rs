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

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parallax_engine::ReportedFinding;
use parallax_engine::live::LiveBoot;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_fuzz::{Answer, Class, Counts, MACHINE_OPS, Plan, Report, Trouble};
use parallax_machine::CancellationToken;
use parallax_report::whole_file;

use super::{print, table};
use crate::cli::Attack;
use crate::interrupt;

/// Runs it.
pub(super) fn attack(args: &Attack) -> Result<Status> {
    let cancel = interrupt::token()?;
    let root = project::root(&[])?;
    let (seed, ops) = args.replay.unwrap_or((args.seed, args.ops));
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.map_or_else(cores, usize::from);
    let plan = Plan { seed, ops, cpus: args.cpus, fault: args.fault, jobs, cut: args.replay.is_some() };
    let boot = LiveBoot::build(&root, [&plan.machine(0)], &cancel)?;
    // Of a replay only the last machine is of interest.
    let first = if args.replay.is_some() { plan.machines() - 1 } else { 0 };
    let report = watched(&plan, first, &boot, &cancel)?;
    print(&told(&plan, first, &report))?;
    let Some(trouble) = &report.trouble else {
        if let (Some(path), true) = (&args.save, args.replay.is_some()) {
            save(path, &plan.performed(&report))?;
        }
        print("nothing found\n")?;
        return Ok(Status::Same);
    };
    print(&told_trouble(&plan, trouble))?;
    let shrink = args.replay.is_none();
    let trace = plan.trace(&report, shrink, &boot, &cancel).map_err(Failure::from)?;
    if let Some((text, shown)) = trace {
        if !shown {
            print(
                "the trace below does not show it by itself: it takes operations without a stop between them\n",
            )?;
        }
        match &args.save {
            Some(path) => save(path, &text)?,
            None if text.lines().count() > MAX_SHOWN => {
                print("the trace is long: --save FILE writes it\n")?;
            }
            None => print(&format!("as a trace:\n{text}"))?,
        }
    }
    Ok(Status::Diverged)
}

/// Lines of a trace that are shown.
const MAX_SHOWN: usize = 100;

fn save(path: &Path, text: &str) -> Result<()> {
    whole_file::write(path, text.as_bytes())
        .map_err(|error| Failure::usage(format!("{}: cannot be written: {error}", path.display())))?;
    print(&format!("written to {}\n", path.display()))
}

/// Runs the plan with a progress bar, where a person watches.
fn watched(
    plan: &Plan,
    first: usize,
    boot: &LiveBoot,
    cancel: &CancellationToken,
) -> Result<Report, Failure> {
    let total = plan.ops - first as u64 * MACHINE_OPS;
    let shown = std::io::stderr().is_terminal();
    let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    let style = ProgressStyle::with_template("attacking {wide_bar} {human_pos}/{human_len}, {elapsed}");
    let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let (done, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                bar.set_position(done.load(Ordering::Relaxed));
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let report = plan.run(first, boot, cancel, &done);
        over.store(true, Ordering::Relaxed);
        report
    });
    bar.finish_and_clear();
    report.map_err(Failure::from)
}

fn told(plan: &Plan, first: usize, report: &Report) -> String {
    let counts = &report.counts;
    let (seed, machines) = (plan.seed, report.machines);
    let ops = counts.ops();
    let mut text = format!("seed {seed}, {ops} operations on {machines} machines");
    if first != 0 {
        let _ = write!(text, ", from operation {} on", first as u64 * MACHINE_OPS + 1);
    }
    let _ = writeln!(text, "\n{}", rows(counts));
    let [full, part, none] = counts.enabled;
    let _ = writeln!(text, "SMMU turned on: {full} times as asked, {part} in part, {none} not at all");
    let [given, taken, refused, stood] = counts.commands;
    let _ = writeln!(
        text,
        "commands given: {given}; taken with all of their batch {taken}, in a batch with a refused one {refused}, \
         to a queue that stood still {stood}"
    );
    let [looks, changed] = counts.looks;
    let _ = writeln!(
        text,
        "all tables checked {looks} times, {changed} times something had changed; {} KiB of the hypervisor compared",
        counts.sealed >> 10
    );
    let _ = writeln!(text, "digest {}", report.digest);
    text
}

fn rows(counts: &Counts) -> String {
    let header = ["", "operations", "accepted", "refused", "aborted", "other"].map(str::to_owned);
    let row = |name: &str, of: &dyn Fn(Answer) -> u64| {
        let [a, r, b, o] = [Answer::Accepted, Answer::Refused, Answer::Aborted, Answer::Other].map(of);
        [
            name.to_owned(),
            (a + r + b + o).to_string(),
            a.to_string(),
            r.to_string(),
            b.to_string(),
            o.to_string(),
        ]
    };
    let mut rows: Vec<[String; 6]> =
        Class::ALL.iter().map(|&class| row(class.name(), &|answer| counts.of(class, answer))).collect();
    rows.push(row("all", &|answer| Class::ALL.iter().map(|&class| counts.of(class, answer)).sum()));
    table(&header, &rows, 1)
}

fn told_trouble(plan: &Plan, trouble: &Trouble) -> String {
    let mut text = format!("found after {} operations: {}\n", trouble.at, trouble.key);
    let again = plan.again(trouble.at);
    let line = usize::try_from(trouble.at).unwrap_or(usize::MAX);
    let found = trouble
        .findings
        .iter()
        .map(|finding| ReportedFinding::new(line, &trouble.op, finding.clone(), &again));
    let lines = found.flat_map(|found| found.lines());
    let end = trouble.end.iter().flat_map(|message| message.lines().map(str::to_owned));
    let _ = writeln!(text, "  after operation {}: {}", trouble.at, trouble.op);
    for line in lines.chain(end) {
        let _ = writeln!(text, "  {line}");
    }
    let _ = writeln!(text, "again: {again}");
    text
}
