//! Where revisions are tried: each once.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::Result;
use parallax_engine::Reproducer;
use parallax_engine::live;
use parallax_engine::status::{Failure, Status};
use parallax_engine::visible;
use parallax_machine::toolchain::Variant;
use parallax_machine::{CancellationToken, Hyp};
use parallax_trace::Trace;

use super::criterion::Criterion;
use super::history::{Commit, Repository};
use super::images::Images;
use super::report::Tried;
use super::request::Request;
use super::search::{Narrowed, Verdict, search};
use super::trial::{self, Trial};
use crate::cases::Case;

/// Where revisions are tried.
pub(super) struct Trials<'a> {
    pub(super) request: &'a Request,
    pub(super) repository: &'a Repository,
    pub(super) root: PathBuf,
    /// The trace and the golden that each revision has itself, with `--by range`.
    pub(super) files: Vec<String>,
    pub(super) case: Case,
    pub(super) golden: Option<String>,
    pub(super) images: Images<'a>,
    pub(super) cancel: CancellationToken,
    /// What was tried, by [`Commit::trial`].
    pub(super) trials: HashMap<String, Trial>,
    pub(super) tried: Vec<Tried>,
}

impl Trials<'_> {
    /// The command that runs the trace on `commit`.
    pub(super) fn reproducer(&self, commit: &Commit) -> Reproducer {
        let words = self.request.words();
        let label = self.case.place.label.as_str();
        Reproducer::new(["run", "--rev", commit.short()].into_iter().chain(words).chain([label]))
    }

    /// Searches `row`, of which the first is the good and the last the bad end: where the first bad commit is, and the
    /// number of the last good one.
    pub(super) fn search(&mut self, row: &[Commit]) -> Result<(Narrowed, usize)> {
        let (good, after) = row.split_first().ok_or_else(|| Failure::usage("no commit"))?;
        let bad = after.last().unwrap_or(good);
        let changes = row.windows(2).filter(|pair| pair[0].trial != pair[1].trial).count();
        let most = changes.next_power_of_two().ilog2();
        let to_try = match most {
            0 => "the two ends are all there is to try".to_owned(),
            _ => format!("without skips, at most {most} to try beyond the two ends"),
        };
        let commits =
            if after.len() == 1 { "1 commit".to_owned() } else { format!("{} commits", after.len()) };
        parallax_engine::note!("{commits} after the good one, {changes} with a change that counts: {to_try}");
        self.end(good, &Verdict::Good)?;
        self.end(bad, &Verdict::Bad)?;
        let mut last_good = 0;
        let narrowed = search(
            after.len(),
            |index| row[index].trial == row[index + 1].trial,
            |index| {
                let verdict = self.judge(&row[index + 1])?;
                if verdict == Verdict::Good {
                    last_good = last_good.max(index + 1);
                }
                Ok::<_, Failure>(verdict)
            },
        )?;
        Ok((narrowed, last_good))
    }

    /// Holds an end of the range against what the user said of it.
    fn end(&mut self, commit: &Commit, expected: &Verdict) -> Result<(), Failure> {
        let verdict = self.judge(commit)?;
        let (name, short) = (if *expected == Verdict::Good { "good" } else { "bad" }, commit.short());
        match verdict {
            Verdict::Skip(why) => {
                let message = format!("the {name} end {short} cannot be tried: {why}");
                Err(Failure { status: Status::Setup, message })
            }
            verdict if verdict == *expected => Ok(()),
            Verdict::Good => Err(Failure::usage(format!(
                "the bad end {short} is good: the trace is in order there{}",
                if self.request.by == Criterion::Findings && self.request.machine.is_empty() {
                    "; --by golden also compares the result"
                } else {
                    ""
                }
            ))),
            Verdict::Bad => {
                let run = self.trials.get(&commit.trial).map(|trial| &trial.run);
                let found = run.and_then(|run| run.findings.first());
                let found = found.map(|found| format!(" (line {}: {})", found.line, found.finding));
                let failed = || Some(format!(" ({})", run?.failure.as_ref()?.in_short()));
                let found = found.or_else(failed);
                let remedy = match self.request.by {
                    Criterion::Golden => "; where the golden changed on purpose: --by range",
                    _ => "; name an earlier one",
                };
                let found = found.unwrap_or_default();
                Err(Failure::usage(format!("the good end {short} is bad{found}{remedy}")))
            }
        }
    }

    /// Tries `commit`, unless the same was tried before, and tells of it.
    fn judge(&mut self, commit: &Commit) -> Result<Verdict, Failure> {
        if let Some(trial) = self.trials.get(&commit.trial) {
            let verdict = trial.verdict.clone();
            self.note(commit, &verdict, false);
            return Ok(verdict);
        }
        let before = self.images.built;
        let trial = match self.boot(commit)? {
            Err(why) => Trial { verdict: Verdict::Skip(why), run: Default::default() },
            Ok(boot) => match self.case_of(commit) {
                Err(why) => Trial { verdict: Verdict::Skip(why), run: Default::default() },
                Ok((case, golden)) => {
                    let how = (self.request.by, self.request.mode);
                    trial::run(&boot, &case, how, golden.as_deref(), self.reproducer(commit))?
                }
            },
        };
        if self.cancel.is_cancelled() {
            return Err(Failure { status: Status::Interrupted, message: "interrupted".to_owned() });
        }
        let verdict = trial.verdict.clone();
        self.trials.insert(commit.trial.clone(), trial);
        self.note(commit, &verdict, self.images.built != before);
        Ok(verdict)
    }

    fn note(&mut self, commit: &Commit, verdict: &Verdict, built: bool) {
        let tried = Tried::new(commit, verdict, built);
        parallax_engine::note!("{}", visible::lines(&tried.line()));
        self.tried.push(tried);
    }

    /// The machine of `commit`, or why there is none.
    pub(super) fn boot(&mut self, commit: &Commit) -> Result<Result<Hyp, String>, Failure> {
        let variant = Variant::of(&self.case.trace.machine);
        Ok(match self.images.of(commit)? {
            Ok(images) => {
                let hyp = Hyp::new(commit.short(), &self.cancel).with_images(variant, images);
                Ok(live::with_events(hyp, &self.root)?)
            }
            Err(why) => Err(why),
        })
    }

    /// What to perform on `commit`, and what must come out; or why it cannot be performed.
    pub(super) fn case_of(&self, commit: &Commit) -> Result<(Case, Option<String>), String> {
        let [trace, golden] = &self.files[..] else { return Ok((self.case.clone(), self.golden.clone())) };
        let Some(text) = self.repository.file(commit, trace) else { return Ok((self.case.clone(), None)) };
        let mut parsed =
            Trace::parse(trace, &text).map_err(|error| format!("its trace is not understood: {error}"))?;
        if parsed.machine.faults_build != self.case.trace.machine.faults_build {
            return Err("its trace needs another build".to_owned());
        }
        // The tree of today: one that has changed since is another machine, and says so in its trace's name.
        if let (Some(tree), Some(today)) = (&mut parsed.machine.tree, &self.case.trace.machine.tree) {
            tree.source.clone_from(&today.source);
        }
        let golden = self.repository.file(commit, golden);
        let golden =
            golden.and_then(|text| Some(text.split_once("\n---\n")?.1.trim_matches('\n').to_owned()));
        Ok((Case { trace: parsed, place: self.case.place.clone() }, golden))
    }
}
