//! What came of a search: the commit, and the operation, the entry and the store by which it is bad.

use anyhow::Result;
use parallax_engine::ReportedFinding;
use parallax_model::{Finding, Space};
use parallax_report::report::FindingForm;
use parallax_report::text_diff;
use parallax_suite::bisect::BisectMode;
use parallax_suite::bisect::history::Commit;
use parallax_suite::bisect::report::{BadOperation, Report, SCHEMA, Suspect};
use parallax_suite::bisect::search::Narrowed;
use parallax_suite::bisect::story::comparable;
use parallax_suite::bisect::trial::first_operation;

use super::bench::{Bench, again};
use crate::cli::{self};
use crate::cmd::explain;

impl Bench<'_> {
    /// What came of the search in `row`; the last good one is `row[last_good]`.
    pub(super) fn report(&mut self, row: &[Commit], found: Narrowed, last_good: usize) -> Result<Report> {
        let suspects = &row[found.first + 1..=found.last + 1];
        let (good, bad) = (&row[last_good], &row[found.last + 1]);
        let operation = self.operation(good, bad)?;
        let run = |commit: &Commit| self.trials.get(&commit.trial).map(|trial| &trial.run);
        let (old, new) = (run(good), run(bad));
        let difference = match (old, new) {
            // One that failed before its first operation has no result.
            (Some(old), Some(new)) if !new.golden.is_empty() => text_diff::unified(&old.golden, &new.golden),
            _ => String::new(),
        };
        let failure = new.and_then(|run| run.failure.as_ref()).map(|failure| failure.message.clone());
        let label = self.case.place.label.clone();
        Ok(Report {
            document: "bisect",
            schema: SCHEMA,
            mode: match self.args.mode {
                BisectMode::Findings => "findings",
                BisectMode::Golden => "golden",
                BisectMode::Range => "range",
            },
            commits: row.len() - 1,
            tried: self.tried.clone(),
            builds: self.images.built,
            first_bad: suspects.iter().map(|commit| self.suspect(commit)).collect(),
            last_good: format!("{}  {}", good.id, good.subject),
            failure,
            operation,
            difference,
            reproduce: format!("{}\n", again(bad, &self.case)),
            trace: label,
        })
    }

    fn suspect(&self, commit: &Commit) -> Suspect {
        let parent = commit.parents.first().cloned().unwrap_or_default();
        let stat = self.repository.git(&["diff", "--stat", &parent, &commit.id, "--", "hyp"]);
        Suspect {
            commit: commit.id.clone(),
            subject: commit.subject.clone(),
            author: commit.author.clone(),
            changed: stat.unwrap_or_default(),
            merged: if commit.parents.len() > 1 { commit.parents.clone() } else { Vec::new() },
        }
    }

    /// The first operation after which `bad` is not as `good`, with its stores.
    fn operation(&mut self, good: &Commit, bad: &Commit) -> Result<Option<BadOperation>> {
        let (Some(old), Some(new)) = (self.trials.get(&good.trial), self.trials.get(&bad.trial)) else {
            return Ok(None);
        };
        let Some((line, text)) = first_operation(&old.run, &new.run) else { return Ok(None) };
        let fresh = |found: &&ReportedFinding| found.line == line && !old.run.findings.contains(found);
        let found: Vec<&ReportedFinding> = new.run.findings.iter().filter(fresh).collect();
        let findings = found.iter().map(|found| FindingForm::from(*found)).collect();
        let wanted = found.first().map(|found| wanted(&found.finding)).unwrap_or_default();
        let (mut story, mut story_difference) = (String::new(), String::new());
        if line != 0 {
            let (before, after) = (self.story(good, line, wanted)?, self.story(bad, line, wanted)?);
            story_difference = text_diff::unified(&comparable(&before), &comparable(&after));
            story = after;
        }
        Ok(Some(BadOperation { line, text, findings, story, story_difference }))
    }

    /// What the operation in `line` did on `commit`; empty where that cannot be told.
    fn story(
        &mut self,
        commit: &Commit,
        line: usize,
        (ipa, sid): (Option<u64>, Option<u32>),
    ) -> Result<String> {
        let (Ok(boot), Ok((case, _))) = (self.boot(commit)?, self.case_of(commit)) else {
            return Ok(String::new());
        };
        let args = cli::Explain { source: self.args.trace.clone(), op: line, ipa, sid };
        Ok(self.images.with_sources(commit, || explain::story(&boot, &case, &args))?.unwrap_or_default())
    }
}

/// The entries that a finding is about: by input address, or by stream.
fn wanted(finding: &Finding) -> (Option<u64>, Option<u32>) {
    match finding.space {
        Space::Cpu | Space::Smmu | Space::Page => (Some(finding.span.base), None),
        Space::Ste => (None, u32::try_from(finding.span.base).ok()),
        Space::El2 | Space::Regs => (None, None),
    }
}
