//! What came of a search: the commit, and the operation, the entry and the store by which it is bad.

use anyhow::Result;
use parallax_engine::ReportedFinding;
use parallax_model::{Finding, Space};
use parallax_report::explain::Wanted;
use parallax_report::report::FindingForm;
use parallax_report::text_diff;

use super::criterion::Criterion;
use super::history::Commit;
use super::report::{BadOperation, Report, SCHEMA, Suspect};
use super::search::Narrowed;
use super::story::comparable;
use super::trial::{first_operation, fresh};
use super::trials::Trials;
use crate::explanation;

/// How many lines of a commit's own changes are shown: a page.
const HUNK_LINES: usize = 40;

/// What came of the search in `row`; the last good one is `row[last_good]`.
pub(super) fn report(
    trials: &mut Trials<'_>,
    row: &[Commit],
    narrowed: Narrowed,
    last_good: usize,
) -> Result<Report> {
    let suspects = &row[narrowed.first + 1..=narrowed.last + 1];
    let (good, bad) = (&row[last_good], &row[narrowed.last + 1]);
    let operation = operation(trials, good, bad)?;
    let run = |commit: &Commit| trials.trials.get(&commit.trial).map(|trial| &trial.run);
    let (old, new) = (run(good), run(bad));
    let difference = match (old, new) {
        // One that failed before its first operation has no result.
        (Some(old), Some(new)) if !new.golden.is_empty() => text_diff::unified(&old.golden, &new.golden),
        _ => String::new(),
    };
    let failure = new.and_then(|run| run.failure.as_ref()).map(|failure| failure.message.clone());
    let label = trials.case.place.label.clone();
    Ok(Report {
        document: "bisect",
        schema: SCHEMA,
        by: match trials.request.by {
            Criterion::Findings => "findings",
            Criterion::Golden => "golden",
            Criterion::Range => "range",
        },
        commits: row.len() - 1,
        tried: trials.tried.clone(),
        builds: trials.images.built,
        first_bad: suspects.iter().map(|commit| suspect(trials, commit)).collect(),
        last_good: format!("{}  {}", good.id, good.subject),
        failure,
        operation,
        difference,
        reproduce: format!("{}\n", trials.reproducer(bad)),
        trace: label,
    })
}

fn suspect(trials: &Trials<'_>, commit: &Commit) -> Suspect {
    let parent = commit.parents.first().cloned().unwrap_or_default();
    let stat = trials.repository.git(&["diff", "--stat", &parent, &commit.id, "--", "hyp"]);
    let hunks = trials.repository.difference(&parent, &commit.id).unwrap_or_default();
    Suspect {
        commit: commit.id.clone(),
        subject: commit.subject.clone(),
        author: commit.author.clone(),
        changed: stat.unwrap_or_default(),
        hunks: beginning(&hunks, &format!("git diff {} {}", short(&parent), commit.short())),
        merged: if commit.parents.len() > 1 { commit.parents.clone() } else { Vec::new() },
    }
}

fn short(id: &str) -> &str {
    &id[..12.min(id.len())]
}

/// The first [`HUNK_LINES`] lines of `hunks`, and the `command` that shows all of them.
fn beginning(hunks: &str, command: &str) -> String {
    let lines: Vec<&str> = hunks.lines().collect();
    let rest = lines.len().saturating_sub(HUNK_LINES);
    let mut text = lines[..lines.len() - rest].join("\n");
    if rest != 0 {
        text += &format!("\n... and {rest} lines more: {command}");
    }
    text
}

/// The first operation after which `bad` is not as `good`, with its stores.
fn operation(trials: &mut Trials<'_>, good: &Commit, bad: &Commit) -> Result<Option<BadOperation>> {
    let (Some(old), Some(new)) = (trials.trials.get(&good.trial), trials.trials.get(&bad.trial)) else {
        return Ok(None);
    };
    let Some((line, text)) = first_operation(&old.run, &new.run) else { return Ok(None) };
    let found: Vec<&ReportedFinding> = fresh(&old.run, &new.run).filter(|found| found.line == line).collect();
    let findings = found.iter().map(|found| FindingForm::from(*found)).collect();
    let wanted = found.first().map(|found| wanted(&found.finding)).unwrap_or_default();
    let (mut story, mut story_difference) = (String::new(), String::new());
    if line != 0 {
        let (before, after) = (story_on(trials, good, line, wanted)?, story_on(trials, bad, line, wanted)?);
        story_difference = text_diff::unified(&comparable(&before), &comparable(&after));
        story = after;
    }
    Ok(Some(BadOperation { line, text, findings, story, story_difference }))
}

/// What the operation in `line` did on `commit`; empty where that cannot be told.
fn story_on(
    trials: &mut Trials<'_>,
    commit: &Commit,
    line: usize,
    (ipa, sid): (Option<u64>, Option<u32>),
) -> Result<String> {
    let (Ok(boot), Ok((case, _))) = (trials.boot(commit)?, trials.case_of(commit)) else {
        return Ok(String::new());
    };
    let (source, mode) = (&trials.request.trace, trials.request.mode);
    let wanted = Wanted { ipa, sid };
    Ok(trials
        .images
        .with_sources(commit, || explanation::story((&boot, mode), &case, source, line, wanted))?
        .unwrap_or_default())
}

/// The entries that a finding is about: by input address, or by stream.
fn wanted(finding: &Finding) -> (Option<u64>, Option<u32>) {
    match finding.space {
        Space::Cpu | Space::Smmu | Space::Page => (Some(finding.span.base), None),
        Space::Ste => (None, u32::try_from(finding.span.base).ok()),
        Space::El2 | Space::Regs => (None, None),
    }
}
