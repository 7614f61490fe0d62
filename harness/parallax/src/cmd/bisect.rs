//! `parallax bisect`: which commit broke a trace, and by which operation, entry and store.
//!
//! ```text
//! traces/good/donate.trace: the first bad commit of 10 is
//!   3f2a1b...  hyp: fewer invalidations
//!
//! first bad operation
//!   line 4: host_donate_hyp pfn=ram+0x20
//! ```
//!
//! The hypervisor and the test host come from each revision; the harness, the plugin and (but for `--mode range`) the
//! trace and its golden are those of the working tree.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::Result;
use parallax_machine::CancellationToken;
use parallax_machine::toolchain::Variant;
use parallax_model::{Finding, Space};

use super::{explain, print};
use crate::bisect::history::{Commit, Repository};
use crate::bisect::images::Images;
use crate::bisect::report::{BadOperation, Report, SCHEMA, Suspect, Tried, comparable};
use crate::bisect::search::{Narrowed, Verdict, search};
use crate::bisect::trial::{self, Trial, first_operation};
use crate::cli::{self, BisectFormat, BisectMode};
use crate::golden;
use crate::interrupt;
use crate::live::LiveBoot;
use crate::project;
use crate::report::{Again, Found, FoundForm};
use crate::status::{Failure, Status};
use crate::suite::{self, Case};
use crate::text_diff;
use crate::trace::Trace;

/// Runs it.
pub(super) fn bisect(args: &cli::Bisect) -> Result<Status> {
    let cancel = interrupt::token()?;
    let mut cases = suite::load(std::slice::from_ref(&args.trace)).map_err(Failure::from)?;
    let case = match (cases.pop(), cases.is_empty()) {
        (Some(case), true) => case,
        _ => return Err(Failure::usage("--trace takes one trace").into()),
    };
    let root = project::root(std::slice::from_ref(&case.place.golden))?;
    let root = root.canonicalize()?;
    let repository = Repository::open(&root)?;
    if args.bad == "HEAD" {
        repository.clean()?;
    }
    let files = match args.mode {
        BisectMode::Range => own_files(&root, args, &case)?,
        BisectMode::Findings | BisectMode::Golden => Vec::new(),
    };
    let row = repository.range(&args.good, &args.bad, &files)?;
    let golden = golden::text(&case.place.golden)?;
    if args.mode == BisectMode::Golden && golden.is_none() {
        let path = case.place.golden.display();
        return Err(Failure::usage(format!("--mode golden: no golden at {path}")).into());
    }
    let variant = Variant::of(&case.trace.machine);
    let images = Images::open(&repository, variant, args.keep, &cancel)?;
    let trials = HashMap::new();
    let mut bench = Bench {
        args,
        repository: &repository,
        root,
        files,
        case,
        golden,
        images,
        cancel,
        trials,
        tried: Vec::new(),
    };
    let report = bench.bisect(&row)?;
    print(&match args.format {
        BisectFormat::Human => report.human(),
        BisectFormat::Markdown => report.markdown(),
        BisectFormat::Json => report.json()?,
    })?;
    Ok(if report.first_bad.len() == 1 { Status::Same } else { Status::Diverged })
}

/// The command that runs `case` on `commit`.
fn again(commit: &Commit, case: &Case) -> Again {
    Again::on_revision(commit.short(), ["run", case.place.label.as_str()])
}

/// Trace and golden, below `root`.
fn own_files(root: &std::path::Path, args: &cli::Bisect, case: &Case) -> Result<Vec<String>, Failure> {
    let below = |path: PathBuf| {
        let inside = path.strip_prefix(root).ok().map(|path| path.to_string_lossy().into_owned());
        inside.ok_or_else(|| {
            Failure::usage(format!("--mode range: {} is not in the source tree", path.display()))
        })
    };
    let trace = args
        .trace
        .canonicalize()
        .map_err(|error| Failure::usage(format!("{}: {error}", args.trace.display())))?;
    let name = case.place.golden.file_name().unwrap_or_default();
    let folder = case.place.golden.parent().and_then(|folder| folder.canonicalize().ok()).unwrap_or_default();
    Ok(vec![below(trace)?, below(folder.join(name))?])
}

/// Where revisions are tried.
struct Bench<'a> {
    args: &'a cli::Bisect,
    repository: &'a Repository,
    root: PathBuf,
    /// The trace and the golden that each revision has itself, with `--mode range`.
    files: Vec<String>,
    case: Case,
    golden: Option<String>,
    images: Images<'a>,
    cancel: CancellationToken,
    /// What was tried, by [`Commit::trial`].
    trials: HashMap<String, Trial>,
    tried: Vec<Tried>,
}

impl Bench<'_> {
    /// Searches `row`, of which the first is the good and the last the bad end.
    fn bisect(&mut self, row: &[Commit]) -> Result<Report> {
        let (good, after) = row.split_first().ok_or_else(|| Failure::usage("no commit"))?;
        let bad = after.last().unwrap_or(good);
        eprintln!("{} commits after the good one", after.len());
        self.end(good, &Verdict::Good)?;
        self.end(bad, &Verdict::Bad)?;
        let mut last_good = 0;
        let found = search(
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
        self.report(row, found, last_good)
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
                if self.args.mode == BisectMode::Findings {
                    "; --mode golden also compares the result"
                } else {
                    ""
                }
            ))),
            Verdict::Bad => {
                let run = self.trials.get(&commit.trial).map(|trial| &trial.run);
                let found = run.and_then(|run| run.findings.first());
                let found = found.map(|found| format!(" (line {}: {})", found.line, found.finding));
                let remedy = match self.args.mode {
                    BisectMode::Golden => "; where the golden changed on purpose: --mode range",
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
            self.tell(commit, &verdict, false);
            return Ok(verdict);
        }
        let before = self.images.built;
        let trial = match self.boot(commit)? {
            Err(why) => Trial { verdict: Verdict::Skip(why), run: Default::default() },
            Ok(boot) => match self.case_of(commit) {
                Err(why) => Trial { verdict: Verdict::Skip(why), run: Default::default() },
                Ok((case, golden)) => {
                    let again = again(commit, &case);
                    trial::run(&boot, &case, self.args.mode, golden.as_deref(), again)?
                }
            },
        };
        if self.cancel.is_cancelled() {
            return Err(Failure { status: Status::Interrupted, message: "cancelled".to_owned() });
        }
        let verdict = trial.verdict.clone();
        self.trials.insert(commit.trial.clone(), trial);
        self.tell(commit, &verdict, self.images.built != before);
        Ok(verdict)
    }

    fn tell(&mut self, commit: &Commit, verdict: &Verdict, built: bool) {
        let tried = Tried::new(commit, verdict, built);
        eprintln!("{}", tried.line());
        self.tried.push(tried);
    }

    /// The machine of `commit`, or why there is none.
    fn boot(&mut self, commit: &Commit) -> Result<Result<LiveBoot, String>, Failure> {
        let faults = self.case.trace.machine.faults_build;
        Ok(match self.images.of(commit)? {
            Ok(images) => {
                Ok(LiveBoot::of(images, faults, commit.short(), &self.cancel).with_events(&self.root)?)
            }
            Err(why) => Err(why),
        })
    }

    /// What to perform on `commit`, and what must come out; or why it cannot be performed.
    fn case_of(&self, commit: &Commit) -> Result<(Case, Option<String>), String> {
        let [trace, golden] = &self.files[..] else { return Ok((self.case.clone(), self.golden.clone())) };
        let Some(text) = self.repository.file(commit, trace) else { return Ok((self.case.clone(), None)) };
        let parsed =
            Trace::parse(trace, &text).map_err(|error| format!("its trace is not understood: {error}"))?;
        if parsed.machine.faults_build != self.case.trace.machine.faults_build {
            return Err("its trace needs another build".to_owned());
        }
        let golden = self.repository.file(commit, golden);
        let golden =
            golden.and_then(|text| Some(text.split_once("\n---\n")?.1.trim_matches('\n').to_owned()));
        Ok((Case { trace: parsed, place: self.case.place.clone() }, golden))
    }

    fn report(&mut self, row: &[Commit], found: Narrowed, last_good: usize) -> Result<Report> {
        let suspects = &row[found.first + 1..=found.last + 1];
        let (good, bad) = (&row[last_good], &row[found.last + 1]);
        let operation = self.operation(good, bad)?;
        let run = |commit: &Commit| self.trials.get(&commit.trial).map(|trial| &trial.run);
        let (old, new) = (run(good), run(bad));
        let difference = match (old, new) {
            (Some(old), Some(new)) => text_diff::unified(&old.golden, &new.golden),
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
        let fresh = |found: &&Found| found.line == line && !old.run.findings.contains(found);
        let found: Vec<&Found> = new.run.findings.iter().filter(fresh).collect();
        let findings = found.iter().map(|found| FoundForm::from(*found)).collect();
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
