//! Results as Markdown, for a comment on a pull request or a summary page: what kinds of lines changed first, then
//! what is not in order and which goldens changed, in groups of the same change; then a table of everything.
//! One example is open, all else is folded.

mod escape;
mod grouped;
mod pack;

use std::fmt::Write;

use parallax_engine::status::Status;
use parallax_model::GoldenLine;

use super::{ORPHAN, TraceReport, Verdict};
use crate::golden::{Change, Changed, Kinds, Shape, Since, What};

use self::escape::{code, fenced, html};
use self::grouped::grouped;
use self::pack::{LIMIT, Section, pack};

/// A difference longer than this is cut, in bytes; where there are many, each may have less.
const DIFF_LIMIT: usize = 8_000;
/// What each difference may have at least, in bytes.
const DIFF_LEAST: usize = 1_000;

/// What a page tells beside the results.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// Goldens that changed since a revision.
    pub since: Option<Since>,
    /// Goldens without a trace.
    pub orphans: Vec<String>,
}

/// All results as a Markdown page; the same for the same results, so without times. Longer pages than a comment
/// can be are cut, and say so.
#[must_use]
pub fn markdown(reports: &[TraceReport], beside: &Beside) -> String {
    let wrong: Vec<&TraceReport> =
        reports.iter().filter(|report| report.verdict.status() != Status::Same).collect();
    let count = reports.len();
    let mut page = format!("# Parallax: {}, {} not as agreed\n", counted(count, "trace"), wrong.len());
    headlines(&mut page, reports);
    let changed: Vec<&str> = wrong.iter().filter_map(|report| diff(report)).collect();
    if !changed.is_empty() {
        line(&mut page, format_args!("\n**{}**, in {}.", kinds(&changed), of(changed.len(), count)));
    }
    if let Some(since) = &beside.since {
        page.push_str(&goldens_changed(since));
    }
    for orphan in &beside.orphans {
        line(&mut page, format_args!("\n{}: {ORPHAN}.", code(orphan)));
    }
    let changes = beside.since.iter().flat_map(|since| &since.changes);
    let changes: Vec<&Change> = changes.filter(|change| change.what != What::Removed).collect();
    let sections = wrong.len() + changes.len();
    let room = (LIMIT / 2 / sections.max(1)).clamp(DIFF_LEAST, DIFF_LIMIT);
    let wrong = wrong.iter().map(|report| (report.changed(), example(report), section(report, room)));
    let mut parts = grouped(wrong.collect(), "trace");
    let changes = changes
        .iter()
        .map(|change| (changed_golden(change), diff_of(change).map(str::to_owned), agreed(change, room)));
    parts.extend(grouped(changes.collect(), "golden"));
    pack(&mut page, &parts, &table(reports));
    page
}

/// What decides, before what has only changed: traces that fail, findings in good traces, faults that are found no more.
fn headlines(page: &mut String, reports: &[TraceReport]) {
    let some = |wanted: &dyn Fn(&TraceReport) -> bool| -> Vec<&TraceReport> {
        reports.iter().filter(|report| wanted(report)).collect()
    };
    let found =
        |reports: &[&TraceReport]| -> usize { reports.iter().map(|report| report.findings.len()).sum() };
    let failed = some(&|report| matches!(report.verdict, Verdict::Failed { .. }));
    if !failed.is_empty() {
        let why = |report: &TraceReport| {
            let advice = report.advice();
            format!("{}: {}", code(&report.label), code(advice.lines().next().unwrap_or_default()))
        };
        headline(page, format_args!("{}", verb(failed.len(), "trace", "fails", "fail")), &failed, why);
    }
    let news =
        some(&|report| !report.bad && report.verdict.status() != Status::Same && !report.findings.is_empty());
    if !news.is_empty() {
        let (findings, traces) = (counted(found(&news), "finding"), counted(news.len(), "good trace"));
        headline(page, format_args!("{findings} in {traces}, where none is agreed"), &news, name);
    }
    let agreed = some(&TraceReport::agreed_findings);
    if !agreed.is_empty() {
        let (findings, traces) = (counted(found(&agreed), "finding"), counted(agreed.len(), "good trace"));
        headline(page, format_args!("{findings} taken into the goldens of {traces}"), &agreed, name);
    }
    let clean = some(&|report| matches!(report.verdict, Verdict::Clean));
    if !clean.is_empty() {
        headline(
            page,
            format_args!("{} found no more", verb(clean.len(), "fault", "is", "are")),
            &clean,
            name,
        );
    }
}

/// A headline's traces that are named.
const NAMED: usize = 8;

fn headline(
    page: &mut String,
    what: std::fmt::Arguments<'_>,
    reports: &[&TraceReport],
    of: fn(&TraceReport) -> String,
) {
    let named: Vec<String> = reports.iter().take(NAMED).map(|report| of(report)).collect();
    let more = reports.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    line(page, format_args!("\n**{what}**: {}{more}.", named.join(", ")));
}

fn name(report: &TraceReport) -> String {
    code(&report.label)
}

/// `1 trace does`, `2 traces do`.
fn verb(count: usize, what: &str, one: &str, many: &str) -> String {
    format!("{} {}", counted(count, what), if count == 1 { one } else { many })
}

fn diff(report: &TraceReport) -> Option<&str> {
    if let Verdict::Diverged { diff } = &report.verdict { Some(diff) } else { None }
}

/// What is not as agreed of a trace, as the example of others: what was found, and the difference.
fn example(report: &TraceReport) -> Option<String> {
    let found = report.news().iter().map(|found| format!("+   ! {}\n", found.finding));
    let found: String = found.collect();
    match &report.verdict {
        Verdict::Diverged { diff } => Some(diff.clone()),
        Verdict::UnexpectedFindings { diff } => Some(found + diff),
        _ => None,
    }
}

fn diff_of(change: &Change) -> Option<&str> {
    if let What::Changed(diff) = &change.what { Some(diff) } else { None }
}

fn changed_golden(change: &Change) -> Changed {
    let changed = Changed::new(&change.label, diff_of(change).unwrap_or_default());
    let new = matches!(change.what, What::New(_)).then(|| Shape::whole(&format!("{} is new", change.label)));
    changed.and(new)
}

fn kinds(diffs: &[&str]) -> Kinds {
    diffs.iter().fold(Kinds::default(), |kinds, diff| kinds.and(&Kinds::of_diff(diff)))
}

/// `1 trace`, `2 traces`.
fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// `the one trace`, `3 of 20 traces`.
fn of(some: usize, all: usize) -> String {
    if all == 1 { "the one trace".to_owned() } else { format!("{some} of {all} traces") }
}

/// A trace that is not in order.
fn section(report: &TraceReport, room: usize) -> Section {
    let mut text = String::new();
    for found in report.news() {
        let (at, op) = (found.line, code(&found.op));
        line(&mut text, format_args!("- after line {at}, {op}: {}", code(&found.finding.to_string())));
        found.detail.iter().for_each(|detail| line(&mut text, format_args!("  - {}", code(detail))));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    match diff(report) {
        Some(diff) => {
            text.push_str(&fenced("diff", diff, room));
            let accept = code(&format!("parallax accept {}", report.name_here));
            line(&mut text, format_args!("\nIf this is right: {accept}"));
        }
        None => text.push_str(&fenced("text", &report.advice(), room)),
    }
    line(&mut text, format_args!("\nReproduce: {}", code(&report.reproduce())));
    let kinds = diff(report).map(|diff| format!(" ({})", Kinds::of_diff(diff))).unwrap_or_default();
    Section::new(&report.label, &format!("{}{kinds}", report.verdict.word()), &text)
}

/// Which goldens changed since a revision, in a paragraph.
fn goldens_changed(since: &Since) -> String {
    let changes = &since.changes;
    let revision = code(&since.revision);
    if changes.is_empty() {
        return format!("\nNo golden changed since {revision}.\n");
    }
    let diffs: Vec<&str> = changes.iter().filter_map(diff_of).collect();
    let mut parts = Vec::new();
    if !diffs.is_empty() {
        parts.push(format!("{} in {}", kinds(&diffs), counted(diffs.len(), "golden")));
    }
    let count = |what: fn(&What) -> bool| changes.iter().filter(|change| what(&change.what)).count();
    let new = count(|what| matches!(what, What::New(_)));
    let removed: Vec<String> = changes
        .iter()
        .filter(|change| change.what == What::Removed)
        .map(|change| code(&change.label))
        .collect();
    parts.extend((new > 0).then(|| format!("{new} new")));
    parts.extend((!removed.is_empty()).then(|| format!("{} removed", removed.len())));
    let mut text = format!("\nGoldens changed since {revision}: **{}**.\n", parts.join("; "));
    if !removed.is_empty() {
        let shown = removed.len().min(50);
        let more = removed.len() - shown;
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        line(&mut text, format_args!("\nRemoved: {}{more}.", removed[..shown].join(", ")));
    }
    text
}

/// A golden that changed or is new.
fn agreed(change: &Change, room: usize) -> Section {
    let (what, inside) = match &change.what {
        What::Changed(diff) => {
            (format!("golden changed ({})", Kinds::of_diff(diff)), fenced("diff", diff, room))
        }
        What::New(text) => {
            let is_operation = |line: &&str| matches!(GoldenLine::of(line), GoldenLine::Operation(_));
            let operations = text.lines().filter(is_operation).count();
            let findings = GoldenLine::findings(text).count();
            let (operations, findings) = (counted(operations, "operation"), counted(findings, "finding"));
            (format!("new ({operations}, {findings})"), fenced("text", text, room))
        }
        What::Removed => ("removed".to_owned(), String::new()),
    };
    Section::new(&change.label, &what, &inside)
}

fn table(reports: &[TraceReport]) -> String {
    let mut text = format!("\n<details><summary>All of {}</summary>\n\n", counted(reports.len(), "trace"));
    text.push_str("| trace | result | operations | findings |\n| --- | --- | ---: | ---: |\n");
    for report in reports {
        let TraceReport { label, ops, findings, verdict, .. } = report;
        let (label, word, findings) = (html(label), verdict.word(), findings.len());
        line(&mut text, format_args!("| <code>{label}</code> | {word} | {ops} | {findings} |"));
    }
    text + "\n</details>\n"
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(page, "{text}");
}

#[cfg(test)]
#[path = "../markdown_tests.rs"]
mod tests;
