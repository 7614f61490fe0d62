//! What came of an attack, as text for a person.

use std::fmt::Write as _;

use parallax_engine::ReportedFinding;
use parallax_report::text_table;

use crate::act::Class;
use crate::counts::{Answer, Counts};
use crate::plan::{MACHINE_OPS, Plan, Report};
use crate::round::Trouble;

/// What was done in the machines from number `first` on, and how it was answered.
#[must_use]
pub fn summary(plan: &Plan, first: usize, report: &Report) -> String {
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
    text_table::render(&header, &rows, 1)
}

/// What went wrong, with the command that shows it again.
#[must_use]
pub fn trouble_text(plan: &Plan, trouble: &Trouble) -> String {
    let mut text = format!("found after {} operations: {}\n", trouble.at, trouble.key);
    let reproducer = plan.reproducer(trouble.at);
    let line = usize::try_from(trouble.at).unwrap_or(usize::MAX);
    let reported = trouble
        .findings
        .iter()
        .map(|finding| ReportedFinding::new(line, &trouble.op, finding.clone(), &reproducer));
    let lines = reported.flat_map(|finding| finding.lines());
    let end = trouble.end.iter().flat_map(|message| message.lines().map(str::to_owned));
    let _ = writeln!(text, "  after operation {}: {}", trouble.at, trouble.op);
    for line in lines.chain(end) {
        let _ = writeln!(text, "  {line}");
    }
    let _ = writeln!(text, "again: {reproducer}");
    text
}
