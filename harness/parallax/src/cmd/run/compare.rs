//! `parallax run --target A,B`: the same traces on several targets, one after the other, and a table of what is otherwise.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Result;
use parallax_engine::Mode;
use parallax_engine::project;
use parallax_engine::side::{Watched, watch};
use parallax_engine::status::{Failure, Status};
use parallax_engine::visible;
use parallax_machine::{Backend, MachineError};
use parallax_model::Freedom;
use parallax_report::report::Format;
use parallax_report::text_table;
use parallax_suite::cases::Case;
use parallax_suite::compare::{Cell, Row, rows};
use parallax_trace::Trace;

use super::target;
use crate::cli::{Run, distinct};
use crate::cmd::output::print;
use crate::cmd::progress;
use crate::interrupt;

/// What is to be said of all traces.
#[derive(Default)]
pub(in crate::cmd) struct Sum {
    equal: usize,
    allowed: usize,
    apart: usize,
    /// What somebody has to look at.
    pub(in crate::cmd) findings: usize,
    freedoms: BTreeSet<Freedom>,
}

/// Runs `cases` on all targets of `args`.
pub(super) fn run(args: &Run, cases: &[Case]) -> Result<Status> {
    check(args)?;
    let cancel = interrupt::token()?;
    let hints: Vec<PathBuf> = cases.iter().map(|case| case.place.golden.clone()).collect();
    let root = project::root(&hints)?;
    let names: Vec<String> = args.target.iter().map(ToString::to_string).collect();
    let progress = progress::of_traces(cases.len());
    progress.set_message("building");
    let booted = |on| {
        let traces = cases.iter().map(|case| &case.trace);
        match args.without_events {
            true => target::without_plugin(on, &root, traces, &cancel),
            false => target::with_plugin(on, &root, traces, &cancel).map_err(target::with_remedy),
        }
    };
    let backends = args.target.iter().map(booted);
    let backends = backends.collect::<Result<Vec<_>, Failure>>()?;
    progress.set_message("running");
    let mut sum = Sum::default();
    let mut ran = 0;
    for case in cases {
        // One machine at a time.
        let all: Vec<Watched> = backends.iter().map(|backend| performed(&case.trace, &**backend)).collect();
        if cancel.is_cancelled() {
            break;
        }
        let text = sum.table(&case.place.label, &names, &rows(&case.trace.ops, &all));
        progress.suspend(|| print(&text))?;
        progress.inc(1);
        ran += 1;
    }
    progress.finish_and_clear();
    print(&sum.text(ran))?;
    Ok(match (cancel.is_cancelled(), sum.findings) {
        (true, _) => Status::Interrupted,
        (false, 0) => Status::Same,
        (false, _) => Status::Diverged,
    })
}

/// Refuses what goes with one target only, and two that are the same.
fn check(args: &Run) -> Result<(), Failure> {
    distinct(&args.target)?;
    let refused = [
        ("--kernel", args.kernel.is_some()),
        ("--vmlinux", args.vmlinux.is_some()),
        ("--mode stream", args.mode == Mode::Stream),
        ("--format", args.format != Format::Human),
        ("--accept", args.accept),
        ("--since", args.since.is_some()),
        ("--record", args.record.is_some()),
        ("--export", !args.export.is_empty()),
        ("--repeat", args.repeat != 1),
        ("--require", !args.require.is_empty()),
        ("--jobs above 1", args.jobs.is_some_and(|jobs| jobs > 1)),
    ];
    match refused.iter().find(|(_, given)| *given) {
        Some((name, _)) => {
            Err(Failure::usage(format!("{name} goes with one target: --target names several")))
        }
        None => Ok(()),
    }
}

/// How a finding is marked below a table.
const FINDING: &str = "FINDING";

/// What was seen of `trace` on a machine that `backend` boots.
pub(in crate::cmd) fn performed(trace: &Trace, backend: &dyn Backend) -> Watched {
    let booted: Result<_, MachineError> = backend.boot(&trace.machine);
    match booted {
        Ok(mut machine) => watch(&trace.ops, machine.as_mut()),
        Err(error) => Watched { failure: Some(error.into()), ..Watched::default() },
    }
}

impl Sum {
    /// The table of one trace, and what is otherwise below it; adds them to the sum.
    pub(in crate::cmd) fn table(&mut self, label: &str, names: &[String], rows: &[Row]) -> String {
        let header = ["line", "operation"].into_iter().map(str::to_owned).chain(names.iter().cloned());
        let mut lines = Vec::new();
        let mut below = String::new();
        for row in rows {
            let line = if row.line == 0 { String::new() } else { row.line.to_string() };
            let mut cells = vec![line.clone(), visible::line(&row.text).into_owned()];
            for (index, cell) in row.cells.iter().enumerate() {
                cells.push(if index == 0 { of_first(cell) } else { self.of_other(cell, row.line == 0) });
                let name = names.get(index).map_or("", String::as_str);
                let place = if row.line == 0 { "boot" } else { &line };
                let mut tell = |verdict: &str, text: &str| {
                    self.findings += usize::from(verdict == FINDING);
                    _ = writeln!(below, "  {place} {name}: {}  [{verdict}]", visible::line(text));
                };
                for (text, freedom) in &cell.differences {
                    tell(freedom.map_or(FINDING, Freedom::name), text);
                }
                cell.findings.iter().for_each(|text| tell(FINDING, text));
            }
            lines.push(cells);
        }
        let table = text_table::render_any(&header.collect::<Vec<_>>(), &lines);
        format!("{}\n{table}\n{below}\n", visible::line(label))
    }

    fn of_other(&mut self, cell: &Cell, boot: bool) -> String {
        self.freedoms.extend(&cell.freedoms);
        let another = cell.outcome.as_ref().filter(|_| cell.another_result);
        let outcome = another.map_or_else(String::new, |outcome| format!(": {outcome}"));
        if cell.is_finding() {
            return format!("DIFFERS{outcome}");
        }
        if cell.outcome.is_none() && !boot {
            return "-".to_owned();
        }
        if let Some(why) = cell.apart {
            self.apart += 1;
            return why.to_owned();
        }
        if !cell.freedoms.is_empty() {
            self.allowed += 1;
            let names: Vec<&str> = cell.freedoms.iter().map(|freedom| freedom.name()).collect();
            return format!("{}{outcome}", names.join(", "));
        }
        self.equal += 1;
        "equal".to_owned()
    }

    /// What all of it comes to.
    pub(in crate::cmd) fn text(&self, traces: usize) -> String {
        let Self { equal, allowed, apart, findings, freedoms } = self;
        let mut text = String::new();
        for freedom in freedoms {
            _ = writeln!(text, "{}: {}", freedom.name(), freedom.reason());
        }
        let word = if traces == 1 { "trace" } else { "traces" };
        text + &format!(
            "{traces} {word}: {equal} equal, {allowed} allowed, {apart} not compared, {findings} findings\n"
        )
    }
}

/// The first target is what the others are compared with.
fn of_first(cell: &Cell) -> String {
    let outcome = cell.outcome.clone().unwrap_or_default();
    if cell.is_finding() { format!("FOUND {outcome}") } else { outcome }
}
