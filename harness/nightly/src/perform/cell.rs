//! Traces on a machine.

use std::path::Path;

use parallax_report::report::{Document, Entry};

use super::step::{here, missing};
use super::{AtWork, good, on_kernel, tail};
use crate::child::Done;
use crate::error::NightError;
use crate::history::{Fault, Problem};
use crate::plan::known::OWN_MACHINE;
use crate::plan::{Cell, Traces};
use crate::qemus::Qemu;

/// A trace that is not in order is run so often again; no more traces of a cell than that.
const AGAIN: usize = 2;
const AGAIN_TRACES: usize = 10;
/// As much of a problem is kept.
const TEXT: usize = 2000;

/// The environment in which `qemu` is used.
pub(super) fn variables(qemu: Option<&Qemu>) -> Vec<(String, String)> {
    qemu.map(|qemu| ("PARALLAX_QEMU".to_owned(), qemu.program.display().to_string())).into_iter().collect()
}

impl AtWork<'_> {
    /// Runs the traces; what is not in order is run again, and is flaky if it comes out otherwise once.
    pub(super) fn cell(&mut self, cell: &Cell) -> Result<(), NightError> {
        if let Some(why) = missing(cell.needs(), &self.runner.root, &here()) {
            (self.tell)(&format!("NOT RUN: {}: {why}", cell.name));
            return Ok(());
        }
        (self.tell)(&cell.name);
        let traces = match cell.traces {
            Traces::All => vec!["traces".to_owned()],
            Traces::BadWithoutFaults => vec!["traces/bad".to_owned()],
            Traces::Fit => good(&self.runner.root)?
                .into_iter()
                .filter(|trace| OWN_MACHINE.iter().all(|(own, _)| own != trace))
                .collect(),
            Traces::Kernel(kernel) => on_kernel::traces(&self.runner.root, kernel)?,
        };
        let variables = variables(cell.qemu.as_ref());
        let run = |traces: &[String]| {
            let words = [&["run", "--format", "json"].map(str::to_owned)[..], &cell.words, traces].concat();
            self.parallax(&cell.name, &words, &variables)
        };
        let done = run(&traces)?;
        let document: Option<Document> = serde_json::from_str(&done.out).ok();
        let wrong: Vec<&Entry> = document.iter().flat_map(|document| &document.traces).collect();
        let wrong: Vec<&Entry> = wrong.into_iter().filter(|entry| !in_order(entry, cell.traces)).collect();
        let mut problems = Vec::new();
        for (index, entry) in wrong.iter().enumerate() {
            let mut flaky = false;
            for _ in 0..if index < AGAIN_TRACES { AGAIN } else { 0 } {
                flaky = flaky || run(std::slice::from_ref(&entry.trace))?.status == 0;
            }
            problems.push(Problem {
                cell: cell.name.clone(),
                trace: entry.trace.clone(),
                text: text(entry),
                flaky,
                change: document.as_ref().map(|document| change(document, &entry.trace)).unwrap_or_default(),
                bisect: bisect(cell, entry),
            });
        }
        if let (Traces::Kernel(kernel), Some(document)) = (cell.traces, &document) {
            let gone = on_kernel::not_found(&document.traces, kernel);
            problems.extend(gone.into_iter().map(|known| Problem {
                cell: cell.name.clone(),
                trace: "(all)".to_owned(),
                text: format!("{} ({}) is known of this kernel, and was not found", known.rule, known.why),
                ..Problem::default()
            }));
        }
        let some = document.as_ref().is_some_and(|document| !document.traces.is_empty());
        let known = matches!(cell.traces, Traces::Kernel(_)) && done.status == 1;
        if !some || done.status != 0 && wrong.is_empty() && !known {
            // No result at all, or what is wrong is about no trace that ran: a golden that belongs to none.
            problems.push(about_none(cell, &done, document.as_ref()));
        }
        problems.iter().try_for_each(|problem| self.problem(problem))?;
        let reports = document.map(|document| document.traces).unwrap_or_default();
        let operations: usize = reports.iter().map(|entry| entry.operations).sum();
        self.done(&cell.name, [reports.len() as u64, operations as u64], done.seconds, done.status)?;
        if cell.traces == Traces::All {
            self.faults(&reports, &problems)?;
        }
        Ok(())
    }

    /// A fault is caught if its trace finds something in each run.
    fn faults(&self, reports: &[Entry], problems: &[Problem]) -> Result<(), NightError> {
        for report in reports.iter().filter(|report| report.bad) {
            let flaky = problems.iter().any(|problem| problem.trace == report.trace && problem.flaky);
            let stem = Path::new(&report.trace).file_stem().unwrap_or_default().to_string_lossy();
            let caught = !report.findings.is_empty() || flaky;
            self.history.add_fault(self.night, &Fault { name: stem.into_owned(), caught })?;
        }
        Ok(())
    }
}

/// A bad trace without its fault may well change nothing: that nothing is found is what counts.
fn in_order(entry: &Entry, traces: Traces) -> bool {
    matches!(&*entry.verdict, "same" | "checked")
        || match traces {
            Traces::BadWithoutFaults => entry.verdict == "nothing",
            Traces::Kernel(kernel) => on_kernel::in_order(entry, kernel),
            Traces::All | Traces::Fit => false,
        }
}

/// All that there is to say of a trace that is not in order.
fn text(entry: &Entry) -> String {
    let mut lines = vec![entry.verdict.to_string()];
    for found in &entry.findings {
        lines.push(format!("after line {}: {}", found.line, found.text));
        lines.extend(found.detail.iter().chain([&found.reproduce]).map(|line| format!("  {line}")));
    }
    lines.extend(entry.message.clone());
    lines.extend(entry.diff.clone());
    lines.join("\n").trim().chars().take(TEXT).collect()
}

/// Traces in which the same is not as agreed are one thing to look at: what that is of `trace`.
fn change(document: &Document, trace: &str) -> String {
    let of = document.changes.iter().find(|alike| alike.traces.iter().any(|name| name == trace));
    let shapes = of.into_iter().flat_map(|alike| &alike.what);
    let words: Vec<String> = shapes.map(|shape| format!("{} × {}", shape.count, shape.text)).collect();
    words.join(", ")
}

/// The arguments of `parallax bisect` for what is not in order of a trace: the machine is driven as it was here. What is bad of another
/// hypervisor, or is good once its fault is switched off, is no commit's doing that it could find.
fn bisect(cell: &Cell, entry: &Entry) -> String {
    let found = match (&*entry.verdict, cell.traces) {
        ("diverged", Traces::All) => &["--by", "range"][..],
        ("found" | "diverged", Traces::All | Traces::Fit) => &[],
        _ => return String::new(),
    };
    let words = cell.words.iter().map(String::as_str).filter(|word| *word != "--look").collect::<Vec<_>>();
    // Step is usual.
    let words: Vec<&str> = match &words[..] {
        ["--mode", "step", rest @ ..] => rest.to_vec(),
        all => all.to_vec(),
    };
    let words = [found, &words, &["--trace", &entry.trace]].concat();
    // No argument of a command can hold a NUL.
    shlex::try_join(words).unwrap_or_default()
}

fn about_none(cell: &Cell, done: &Done, document: Option<&Document>) -> Problem {
    let error = document.and_then(|document| document.error.clone());
    let said = error.filter(|_| done.error.trim().is_empty()).unwrap_or_else(|| done.error.clone());
    let said = if said.trim().is_empty() { done.out.clone() } else { said };
    let said = tail(&said, TEXT);
    let text = if said.is_empty() { format!("exit status {}", done.status) } else { said };
    Problem { cell: cell.name.clone(), trace: "(all)".to_owned(), text, ..Problem::default() }
}
