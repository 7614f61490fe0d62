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
    let on = if *machines == 1 { "machine" } else { "machines" };
    let mut text = format!("seed {}, {} operations on {machines} {on}\n", plan.seed, counts.ops());
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
        "{instructions} instructions of the hypervisor, {branches} branches taken, {states} abstract states, {kept} {} kept\ndigest {digest}",
        if *kept == 1 { "machine" } else { "of the machines" }
    );
    if let Some(line) = not_through(plan, *machines, report.given, counts.ops()) {
        text += &line;
    }
    text
}

/// What is said where all of `machines` began with one of the `given` ones of the corpus. What ended the run is what there must be more of.
fn not_through(plan: &Plan, machines: u64, given: u64, ops: u64) -> Option<String> {
    let more = if plan.time.is_some() && ops < plan.ops { "--time" } else { "--ops" };
    (1..=given).contains(&machines).then(|| {
        format!(
            "all machines began with what the corpus had, {machines} of {given}: nothing is kept before that is through (more {more})\n"
        )
    })
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::explore::Shard;

    #[test]
    fn a_run_that_ended_in_its_corpus_says_what_there_must_be_more_of() {
        let plan = |ops, time| Plan {
            seed: 1,
            ops,
            time,
            jobs: 1,
            shard: Shard { index: 0, count: 1 },
            fault: None,
            corpus: None,
        };
        let said = |plan: Plan, machines| not_through(&plan, machines, 5, 1000);
        let time = Some(Duration::from_secs(10));
        for (plan, more) in [
            (plan(1000, None), "(more --ops)\n"),
            (plan(u64::MAX, time), "(more --time)\n"),
            (plan(1000, time), "(more --ops)\n"),
        ] {
            let said = said(plan, 5).unwrap();
            assert!(said.ends_with(more), "{said}");
        }
        assert_eq!((said(plan(1000, None), 0), said(plan(1000, None), 6)), (None, None));
    }
}
