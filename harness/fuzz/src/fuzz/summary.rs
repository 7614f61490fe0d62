//! What came of a run, as text for a person.

use std::fmt::Write as _;

use parallax_engine::ReportedFinding;
use parallax_report::text_table;

use super::counts::ENDS;
use super::kind::Kind;
use super::plan::{Plan, Report};
use crate::round::Trouble;

/// What was done, and how it ended. Nothing of it depends on a clock.
#[must_use]
pub fn summary(plan: &Plan, report: &Report) -> String {
    let Report { machines, counts, instructions, branches, states, kept, digest, .. } = report;
    let mut text = format!("seed {}, {} operations on {machines} machines\n", plan.seed, counts.ops());
    // Each operation is in the first table once, and in the second one at most once.
    for (title, places) in [("what for", false), ("where, of these", true)] {
        let kinds = Kind::ALL.iter().filter(|(kind, _)| kind.is_place() == places);
        let rows: Vec<[String; 2]> =
            kinds.map(|(kind, name)| [(*name).to_owned(), counts.of(*kind).to_string()]).collect();
        text += &text_table::render(&[title, "operations"].map(str::to_owned), &rows, 1);
        text.push('\n');
    }
    let mut header = vec![String::new()];
    header.extend(ENDS.map(str::to_owned));
    let header: [String; ENDS.len() + 1] = std::array::from_fn(|column| header[column].clone());
    let row = |(name, ends): (&str, [u64; ENDS.len()])| {
        std::array::from_fn(|column| match column {
            0 => name.to_owned(),
            _ => ends[column - 1].to_string(),
        })
    };
    let ends: Vec<[String; ENDS.len() + 1]> = counts.rows().into_iter().map(row).collect();
    text += &text_table::render(&header, &ends, 1);
    text.push('\n');
    let _ = writeln!(
        text,
        "{instructions} instructions of the hypervisor, {branches} branches taken, {states} abstract states, {kept} of the machines kept\ndigest {digest}"
    );
    if (1..=report.given).contains(machines) {
        let given = report.given;
        let _ = writeln!(
            text,
            "all machines began with what the corpus had, {machines} of {given}: nothing is kept before that is through (more --ops)"
        );
    }
    text
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
