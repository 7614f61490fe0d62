//! Which of several hypervisors in a row is the first that behaves otherwise than those before it, and in which operation.
//!
//! The first of the row is what the others are held against: by the results of a trace, by the pages that it names and by what is
//! found ([`crate::compare`]); or by the results alone. They are taken to have changed once: the row is searched as the commits of a history are.

use std::path::Path;

use anyhow::Result;
use parallax_engine::Mode;
use parallax_engine::side::{Watched, watch};
use parallax_engine::status::{Failure, Status};
use parallax_machine::{Backend, CancellationToken};
use parallax_report::explain::Wanted;
use parallax_report::text_diff;
use parallax_trace::Op;

use super::row_report::{Apart, RowReport, SCHEMA, TriedOne};
use super::search::{Verdict, search};
use super::story::comparable;
use crate::cases::Case;
use crate::compare::{Cell, rows};
use crate::explanation;

/// What of two hypervisors is held against each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compared {
    /// Results, the pages that the trace names, and the rules that are broken, boot included.
    #[default]
    Everything,
    /// How each operation ended, and how the run ended.
    Results,
}

/// How what is said of another result begins.
const RESULT: &str = "result: ";

/// A hypervisor of the row.
pub struct Member {
    /// What it is called.
    pub name: String,
    /// Makes it, if it is not there yet; or says why it cannot be tried. An error ends the search.
    pub make: Box<dyn Fn() -> Result<Option<String>, Failure>>,
    /// What boots it.
    pub plain: Box<dyn Backend>,
    /// What boots it with the plugin.
    pub watched: Box<dyn Backend>,
}

/// What came of the search in `row`.
///
/// # Errors
/// An end of the row cannot be booted, or the user cancelled.
pub fn first_otherwise(
    case: &Case,
    source: &Path,
    row: &[Member],
    compared: Compared,
    cancel: &CancellationToken,
) -> Result<RowReport> {
    let [first, others @ ..] = row else { return Err(Failure::usage("no hypervisor").into()) };
    let Some(last) = others.last() else {
        return Err(
            Failure::usage(format!("only {} is there: nothing to compare it with", first.name)).into()
        );
    };
    let ops = &case.trace.ops;
    let mut tried = Vec::new();
    let reference = ran(first, case, cancel)?;
    if let Some(failure) = unbooted(&reference) {
        return Err(end(&first.name, failure).into());
    }
    note(&mut tried, first, "first", None, None);
    let mut known: Vec<Vec<Apart>> = vec![Vec::new(); others.len()];
    let mut judge = |index: usize| -> Result<Verdict, Failure> {
        let member = &others[index];
        let there = ran(member, case, cancel)?;
        if let Some(failure) = unbooted(&there) {
            note(&mut tried, member, "skipped", None, Some(failure.in_short()));
            return Ok(Verdict::Skip(failure.in_short()));
        }
        known[index] = apart(ops, (&reference, &there), compared);
        match known[index].first() {
            None => note(&mut tried, member, "same", None, None),
            Some(Apart { line, .. }) => note(&mut tried, member, "otherwise", Some(*line), None),
        }
        Ok(if known[index].is_empty() { Verdict::Good } else { Verdict::Bad })
    };
    let verdict = judge(others.len() - 1)?;
    let report = |tried, first_otherwise, last_same: &Member| RowReport {
        document: "bisect-kernels",
        schema: SCHEMA,
        trace: case.place.label.clone(),
        reference: first.name.clone(),
        first_otherwise,
        last_same: last_same.name.clone(),
        apart: Vec::new(),
        story_line: 0,
        story_difference: String::new(),
        tried,
        results_only: compared == Compared::Results,
    };
    match verdict {
        Verdict::Bad => (),
        Verdict::Good => return Ok(report(tried, Vec::new(), last)),
        Verdict::Skip(why) => {
            let message = format!("the last one, {}, cannot be tried: {why}", last.name);
            return Err(Failure { status: Status::Setup, message }.into());
        }
    }
    let narrowed = search(others.len(), |_| false, judge)?;
    let (before, found) = (&row[narrowed.first], &others[narrowed.last]);
    let suspects = &others[narrowed.first..=narrowed.last];
    let mut report = report(tried, suspects.iter().map(|member| member.name.clone()).collect(), before);
    report.apart = known.swap_remove(narrowed.last);
    if let Some(apart) = report.apart.iter().find(|apart| apart.line != 0) {
        let story = |member: &Member| story(member, case, source, apart.line);
        report.story_difference = text_diff::unified(&story(before), &story(found));
        report.story_line = apart.line;
    }
    Ok(report)
}

fn note(
    tried: &mut Vec<TriedOne>,
    member: &Member,
    verdict: &'static str,
    line: Option<usize>,
    reason: Option<String>,
) {
    let one = TriedOne { name: member.name.clone(), verdict, line, reason };
    parallax_engine::note!("{}", one.text());
    tried.push(one);
}

/// What `member` makes of `case`.
fn ran(member: &Member, case: &Case, cancel: &CancellationToken) -> Result<Watched, Failure> {
    let booted = match (member.make)()? {
        None => member.plain.boot(&case.trace.machine).map_err(Failure::from),
        Some(why) => Err(Failure { status: Status::Setup, message: why }),
    };
    let watched = match booted {
        Ok(mut machine) => watch(&case.trace.ops, machine.as_mut()),
        Err(failure) => Watched { failure: Some(failure), ..Watched::default() },
    };
    if cancel.is_cancelled() {
        return Err(Failure { status: Status::Interrupted, message: "interrupted".to_owned() });
    }
    Ok(watched)
}

/// Why it did not come as far as to be looked at.
fn unbooted(watched: &Watched) -> Option<&Failure> {
    watched.failure.as_ref().filter(|_| watched.seen.is_empty())
}

fn end(name: &str, failure: &Failure) -> Failure {
    let message = format!("the first one, {name}, cannot be tried: {}", failure.in_short());
    Failure { status: Status::Setup, message }
}

/// The boot and the operations of `ops` in which `other` is not as `one`, by what is to be `compared`.
fn apart(ops: &[Op], (one, other): (&Watched, &Watched), compared: Compared) -> Vec<Apart> {
    let rows = rows(ops, &[without_failure(one), without_failure(other)]);
    let mut all = Vec::new();
    for (at, row) in rows.into_iter().enumerate() {
        let [first, second] = &row.cells[..] else { continue };
        let mut what: Vec<String> = second.differences.iter().map(|(text, _)| text.clone()).collect();
        if compared == Compared::Results {
            what.retain(|text| text.starts_with(RESULT));
        }
        what.extend(second.apart.filter(|why| *why != "not comparable").map(str::to_owned));
        if compared == Compared::Everything {
            what.extend(other_rules(&rules(one, at), &rules(other, at)));
        }
        let mut end = ended(first, second, (one, other), at);
        if compared == Compared::Results {
            end = end.or_else(|| ended_otherwise((one, other), at));
        }
        let ends = end.is_some();
        what.extend(end);
        if !what.is_empty() {
            all.push(Apart { line: row.line, text: row.text, what });
        }
        if ends {
            break;
        }
    }
    all
}

/// `watched` as far as it got.
fn without_failure(watched: &Watched) -> Watched {
    Watched {
        pages: watched.pages.clone(),
        far: watched.far.clone(),
        seen: watched.seen.clone(),
        freedoms: watched.freedoms,
        failure: None,
    }
}

/// The rules that were broken in row `at`. How often, and where exactly, may differ from boot to boot.
fn rules(watched: &Watched, at: usize) -> Vec<String> {
    let found = watched.seen.get(at).map(|seen| &seen.findings[..]).unwrap_or_default();
    let mut rules: Vec<String> =
        found.iter().map(|found| format!("{} {}", found.rule, found.message)).collect();
    rules.sort();
    rules.dedup();
    rules
}

/// The rules that are broken `there` and not `here`, and the other way round.
fn other_rules(here: &[String], there: &[String]) -> Vec<String> {
    let only = |these: &[String], those: &[String], how: &str| -> Vec<String> {
        these.iter().filter(|rule| !those.contains(rule)).map(|rule| format!("{how}: {rule}")).collect()
    };
    let mut all = only(there, here, "found now");
    all.extend(only(here, there, "not found any more"));
    all
}

/// What is to be said where both ended before row `at`, each in another way. Addresses in how they did are not the same in each boot.
fn ended_otherwise((one, other): (&Watched, &Watched), at: usize) -> Option<String> {
    let (Some(here), Some(there)) = (&one.failure, &other.failure) else { return None };
    let kind = |failure: &Failure| failure.message.split([':', '\n']).next().map(str::to_owned);
    let both_here = at == one.seen.len() && at == other.seen.len();
    let apart = both_here && kind(here) != kind(there);
    apart.then(|| format!("it ended: {} / it ended: {}", here.in_short(), there.in_short()))
}

/// What is to be said where one of both did not get to row `at`.
fn ended(first: &Cell, second: &Cell, (one, other): (&Watched, &Watched), at: usize) -> Option<String> {
    let reached = |watched: &Watched| at < watched.seen.len();
    let why = |watched: &Watched| {
        let failure = watched.failure.as_ref().map(Failure::in_short).unwrap_or_default();
        format!("it ended: {failure}")
    };
    let outcome = |cell: &Cell| cell.outcome.clone().unwrap_or_default();
    match (reached(one), reached(other)) {
        (true, false) => Some(format!("{} / {}", outcome(first), why(other))),
        (false, true) => Some(format!("{} / {}", why(one), outcome(second))),
        _ => None,
    }
}

/// What the operation in line `line` did to tables, made so that two can be compared; empty where that cannot be told.
fn story(member: &Member, case: &Case, source: &Path, line: usize) -> String {
    let told = explanation::story((&*member.watched, Mode::Step), case, source, line, Wanted::default());
    told.map(|story| comparable(&story)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use parallax_engine::side::Seen;
    use parallax_report::report::samples::finding;
    use parallax_trace::{Outcome, Trace};

    use super::*;

    fn watched(results: &[&str]) -> Watched {
        let seen = |outcome| Seen { outcome, faces: Vec::new(), findings: Vec::new() };
        let results = results.iter().map(|text| match *text {
            "ok" => Outcome::Ok { value: None },
            number => Outcome::Error(number.parse().unwrap()),
        });
        Watched {
            seen: std::iter::once(None).chain(results.map(Some)).map(seen).collect(),
            ..Watched::default()
        }
    }

    /// Line and text of the one operation that is otherwise.
    fn only(all: Vec<Apart>) -> (usize, String) {
        let [Apart { line, what, .. }] = &all[..] else { panic!("{all:?}") };
        (*line, what.join("; "))
    }

    /// What is otherwise when everything is compared.
    fn everything(one: &Watched, other: &Watched) -> Vec<Apart> {
        apart(&ops(), (one, other), Compared::Everything)
    }

    /// `watched`, which ended with `message`.
    fn ending(watched: Watched, message: &str) -> Watched {
        let failure = Failure { status: Status::Diverged, message: message.to_owned() };
        Watched { failure: Some(failure), ..watched }
    }

    #[test]
    fn by_results_only_how_it_ended_counts() {
        let results = |one: &Watched, other: &Watched| apart(&ops(), (one, other), Compared::Results);
        let mut found = watched(&["ok", "-1"]);
        found.seen[0].findings.push(finding());
        let as_before = watched(&["ok", "-1"]);
        assert_eq!(only(everything(&as_before, &found)).0, 0);
        assert_eq!(results(&as_before, &found), []);
        let other = only(results(&found, &watched(&["ok", "-22"])));
        assert_eq!(other, (2, "result: EPERM / EINVAL".to_owned()));
        let panic = || ending(watched(&["ok"]), "the hypervisor panicked\nat 0x1");
        let other = only(results(&panic(), &as_before));
        assert_eq!(other, (2, "it ended: the hypervisor panicked: at 0x1 / EPERM".to_owned()));
        assert_eq!(results(&panic(), &ending(watched(&["ok"]), "the hypervisor panicked\nat 0x2")), []);
        let hang = ending(watched(&["ok"]), "hang: the end did not happen");
        assert_eq!(only(results(&panic(), &hang)).0, 2);
    }

    fn ops() -> Vec<Op> {
        Trace::parse("", "host_share_hyp pfn=ram\nhost_share_hyp pfn=ram\n").unwrap().ops
    }

    #[test]
    fn the_first_result_that_is_otherwise_is_told() {
        let other = only(everything(&watched(&["ok", "-1"]), &watched(&["ok", "-22"])));
        assert_eq!(other, (2, "result: EPERM / EINVAL".to_owned()));
        assert_eq!(everything(&watched(&["ok", "-1"]), &watched(&["ok", "-1"])), []);
    }

    #[test]
    fn one_that_ends_early_is_otherwise_where_it_ended() {
        let failure = || Failure { status: Status::Diverged, message: "a panic".to_owned() };
        let short = || Watched { failure: Some(failure()), ..watched(&["ok"]) };
        let other = only(everything(&watched(&["ok", "-1"]), &short()));
        assert_eq!(other, (2, "EPERM / it ended: a panic".to_owned()));
        let other = only(everything(&short(), &watched(&["ok", "-1"])));
        assert_eq!(other, (2, "it ended: a panic / EPERM".to_owned()));
        assert_eq!(everything(&short(), &short()), []);
    }
}
