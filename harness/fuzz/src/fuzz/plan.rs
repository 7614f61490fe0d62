//! A run: which machines there are, what each begins with, and what came of them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use parallax_abi::fault::Fault;
use parallax_engine::Reproducer;
use parallax_engine::status::{Failure, Status};
use parallax_machine::{Backend, CancellationToken, FailureClass, MachineError};
use parallax_trace::Op;
use sha2::{Digest, Sha256};

use super::corpus::{self, Entry};
use super::counts::Counts;
use super::machines::{COUNT, Drawn, Special, is_long};
use super::mutate;
use super::reached::Reached;
use super::round::{Means, Round, Run};
use crate::explore::Shard;
use crate::random::Random;
use crate::round::Trouble;

/// Machines that begin with what the same corpus has: what they reach is added to it when all of them have ended.
const GENERATION: u64 = 8;

/// Operations, where nothing else is said.
pub const USUAL_OPS: u64 = 100_000;

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// Most operations.
    pub ops: u64,
    /// No machine is started after so long.
    pub time: Option<Duration>,
    /// How many machines at a time.
    pub jobs: usize,
    /// Which part of all machines.
    pub shard: Shard,
    /// A fault to switch on.
    pub fault: Option<Fault>,
    /// Where machines are that reached something new.
    pub corpus: Option<PathBuf>,
}

/// How far a run is.
#[derive(Debug, Default)]
pub struct Progress {
    /// Operations done.
    pub ops: AtomicU64,
    /// Instructions of the hypervisor that ran in machines that have ended.
    pub instructions: AtomicU64,
    /// Abstract states that came up in those.
    pub states: AtomicU64,
}

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// Machines that were run.
    pub machines: u64,
    /// What was done, and how it ended.
    pub counts: Counts,
    /// Stands for every operation, result and final state.
    pub digest: String,
    /// The first thing that went wrong.
    pub trouble: Option<Trouble>,
    /// Instructions of the hypervisor that ran.
    pub instructions: u64,
    /// Branches that it took.
    pub branches: u64,
    /// Abstract states that came up.
    pub states: u64,
    /// Why what was new is not in the folder of the corpus, if it is not.
    pub unkept: Option<String>,
    /// How many machines were added to the corpus.
    pub kept: u64,
    /// How many of a corpus there were at the beginning: so many machines begin with one, and none of those is kept.
    pub given: u64,
    /// Whether the user ended it before all was performed, or something was found.
    pub interrupted: bool,
    /// What the last machine was, and what it did.
    pub(super) last: Option<(Drawn, Vec<Op>)>,
}

/// What machines begin with, and what they have reached.
#[derive(Debug)]
struct Feedback {
    corpus: Vec<Entry>,
    /// How many of the corpus were there when the run began.
    given: u64,
    known: Reached,
}

impl Plan {
    /// The first machine, for who builds what is needed.
    #[must_use]
    pub fn machine(&self) -> parallax_trace::Trace {
        let mut trace = parallax_trace::Trace::parse("fuzz", "nop\n").expect("an operation is a trace");
        trace.machine = Drawn::of(0, self.fault, &mut Random::new(self.seed, 0)).spec;
        trace
    }

    /// Makes the folder of the corpus, where there is none, before anything else takes time. Gives how many traces it has.
    ///
    /// # Errors
    /// It can be no folder, or takes no files.
    pub fn begin(&self) -> Result<Option<usize>, Failure> {
        self.corpus.as_deref().map(corpus::begin).transpose()
    }

    /// The command that performs the same operations again, up to number `at` of the run.
    #[must_use]
    pub fn reproducer(&self, at: u64) -> Reproducer {
        let mut words = vec!["fuzz".to_owned(), "--seed".to_owned(), self.seed.to_string()];
        words.extend(["--ops".to_owned(), at.max(1).to_string()]);
        if self.shard.count > 1 {
            let Shard { index, count } = self.shard;
            words.extend(["--shard".to_owned(), format!("{}/{count}", index + 1)]);
        }
        words
            .extend(self.fault.into_iter().flat_map(|fault| ["--fault".to_owned(), fault.name().to_owned()]));
        let corpus = self.corpus.iter();
        words.extend(corpus.flat_map(|folder| ["--corpus".to_owned(), folder.display().to_string()]));
        Reproducer::new(words)
    }

    /// Runs machines until all operations are done, time is over, something is found, or the user cancels. The result is the same whatever
    /// [`Self::jobs`] is, if nobody cancels: nothing counts that came behind the first trouble.
    ///
    /// # Errors
    /// A machine does not start, or the corpus cannot be read.
    pub fn run(
        &self,
        backend: &dyn Backend,
        cancel: &CancellationToken,
        progress: &Progress,
    ) -> Result<Report, Failure> {
        let begin = Instant::now();
        let is_over = || self.time.is_some_and(|time| begin.elapsed() >= time);
        let mut feedback = self.feedback()?;
        let mut report = Report {
            machines: 0,
            counts: Counts::default(),
            digest: String::new(),
            trouble: None,
            instructions: 0,
            branches: 0,
            states: 0,
            unkept: None,
            kept: 0,
            given: feedback.given,
            interrupted: false,
            last: None,
        };
        let mut digest = Sha256::new();
        let (mut number, mut done) = (0, 0);
        while done < self.ops && !is_over() && report.trouble.is_none() && !report.interrupted {
            let first = number;
            let mut rounds = Vec::new();
            while done < self.ops && number < first + GENERATION {
                let round = self.round(number, self.ops - done, &feedback);
                rounds.push((done, round));
                done += rounds[rounds.len() - 1].1.until as u64;
                number += 1;
            }
            let asked = rounds.len();
            let runs = self.generation(rounds, &feedback.known, &is_over, (backend, cancel, progress))?;
            let whole = runs.len() == asked && runs.iter().all(|(.., run)| !run.cut);
            for (index, before, drawn, run) in runs {
                let number = first + index as u64;
                report.machines += 1;
                report.counts.add(&run.counts);
                digest.update(run.digest);
                let new = feedback.known.merge(&run.reached);
                if let Some(trouble) = run.trouble {
                    report.trouble = Some(Trouble { at: trouble.at + before, ..trouble });
                    report.last = Some((drawn, run.ops));
                    break;
                }
                if new && number >= feedback.given && run.new_until > 0 {
                    let ops = run.ops.into_iter().take(run.new_until).collect();
                    let hostile = matches!(drawn.special, Special::Hostile | Special::Interrupts);
                    let entry = Entry { machine: drawn.spec, hostile, ops };
                    // Without a folder neither: the result is the same.
                    if !entry.fits() {
                        continue;
                    }
                    report.kept += 1;
                    self.save(&entry, &mut report.unkept);
                    feedback.corpus.push(entry);
                }
            }
            report.interrupted = cancel.is_cancelled() && !whole && report.trouble.is_none();
            let known = &feedback.known;
            (report.instructions, report.branches) = (known.instructions(), known.branches());
            report.states = known.states();
            progress.instructions.store(report.instructions, Ordering::Relaxed);
            progress.states.store(report.states, Ordering::Relaxed);
        }
        report.digest = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Ok(report)
    }

    /// Writes `entry` into the folder of the corpus, if there is one. The first time that this fails it is told at once: a run may take
    /// hours, and who watches can make room.
    fn save(&self, entry: &Entry, unkept: &mut Option<String>) {
        let Some(folder) = &self.corpus else { return };
        let Err(why) = entry.save(folder) else { return };
        if unkept.is_none() {
            parallax_engine::note!("--corpus {}: what is new cannot be kept: {why}", folder.display());
            *unkept = Some(why.to_string());
        }
    }

    /// What there is at the beginning.
    fn feedback(&self) -> Result<Feedback, Failure> {
        let mut corpus = Vec::new();
        if let Some(folder) = &self.corpus {
            corpus::begin(folder)?;
            corpus = corpus::load(folder).map_err(Failure::usage)?;
        }
        Ok(Feedback { given: corpus.len() as u64, corpus, known: Reached::default() })
    }

    /// Machine `number` of this part, for which `left` operations are left.
    fn round(&self, number: u64, left: u64, feedback: &Feedback) -> Round {
        let Shard { index, count } = self.shard;
        let mut random = Random::new(self.seed, number * count as u64 + index as u64);
        let fresh = Drawn::of(number, self.fault, &mut random);
        // What was there already comes on top.
        let round = |drawn: Drawn, begin: Vec<Op>, random| {
            let size = begin.len() as u64 + drawn.operations(number);
            Round { drawn, random, begin, until: left.min(size) as usize }
        };
        let on = |entry: &Entry| {
            let special = if entry.hostile { Special::Hostile } else { Special::Nothing };
            Drawn::on(entry.machine.clone(), self.fault, special)
        };
        // First of all what is there already, whole.
        if let Some(entry) = feedback.corpus.get(number as usize).filter(|_| number < feedback.given) {
            return round(on(entry), entry.ops.clone(), random);
        }
        if !is_long(number) && number >= operations_before(feedback) && random.percent(50) {
            let entry = &feedback.corpus[random.below(feedback.corpus.len() as u64) as usize];
            let begin = mutate::prefix(entry, &mut random);
            return round(on(entry), begin, random);
        }
        round(fresh, Vec::new(), random)
    }

    /// Runs machines side by side; gives those that count, in order, each with its place among `rounds`. Where the user cancels, those are
    /// the machines that had booted by then.
    fn generation(
        &self,
        rounds: Vec<(u64, Round)>,
        known: &Reached,
        is_over: &(dyn Fn() -> bool + Sync),
        (backend, cancel, progress): (&dyn Backend, &CancellationToken, &Progress),
    ) -> Result<Vec<(usize, u64, Drawn, Run)>, Failure> {
        let (next, stop) = (AtomicUsize::new(0), AtomicUsize::new(rounds.len()));
        let waiting: Vec<_> = rounds.into_iter().map(|round| Mutex::new(Some(round))).collect();
        let results = Mutex::new(Vec::new());
        // One that panics ends the others where they are.
        let (end, panicked) = (cancel.child_token(), Mutex::new(None));
        let means = Means { known, backend, cancel: &end, progress: &progress.ops };
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.clamp(1, waiting.len().max(1)) {
                scope.spawn(|| {
                    while !is_over() && !end.is_cancelled() {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let taken = waiting.get(index).filter(|_| index < stop.load(Ordering::Relaxed));
                        let taken = taken.and_then(|round| locked(round).take());
                        let Some((before, round)) = taken else { break };
                        let (drawn, until) = (round.drawn.clone(), before + round.until as u64);
                        let run = || round.run_again_if_killed(means);
                        let run = match catch_unwind(AssertUnwindSafe(run)) {
                            Ok(run) => run,
                            Err(payload) => {
                                locked(&panicked).get_or_insert((until, payload));
                                end.cancel();
                                break;
                            }
                        };
                        if run.as_ref().map_or(true, |run| run.trouble.is_some()) {
                            stop.fetch_min(index + 1, Ordering::Relaxed);
                        }
                        locked(&results).push((index, run.map(|run| (before, drawn, run))));
                    }
                });
            }
        });
        if let Some((until, payload)) = panicked.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(self.panicked(until, payload.as_ref()));
        }
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_by_key(|(index, _)| *index);
        if cancel.is_cancelled() {
            let cancelled = |error: &MachineError| error.class() == FailureClass::Cancelled;
            results.retain(|(_, result)| !result.as_ref().is_err_and(cancelled));
        }
        let with_place = |(index, result): (usize, Result<(u64, Drawn, Run), MachineError>)| {
            result.map(|(before, drawn, run)| (index, before, drawn, run)).map_err(Failure::from)
        };
        results.into_iter().map(with_place).collect()
    }

    /// A machine that ends with operation number `until` of the run made this command panic.
    fn panicked(&self, until: u64, payload: &(dyn Any + Send)) -> Failure {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let message = format!(
            "a worker panicked: {}\nagain: {}",
            text.unwrap_or("it gave no reason"),
            self.reproducer(until)
        );
        Failure { status: Status::Setup, message }
    }
}

/// What `mutex` holds. A panic elsewhere leaves it whole: nothing is done under it that could fail.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first machine that may begin with a part of another, when each of the machines was there once: with an empty corpus none may.
const fn operations_before(feedback: &Feedback) -> u64 {
    if feedback.corpus.is_empty() { u64::MAX } else { feedback.given + COUNT }
}

#[cfg(test)]
mod tests {
    use parallax_machine::Machine;
    use parallax_trace::spec::MachineSpec;

    use super::*;

    /// The first machine makes the harness panic; others do not boot before that.
    #[derive(Default)]
    struct Panics {
        boots: AtomicUsize,
        over: CancellationToken,
    }

    impl Backend for Panics {
        fn boot(&self, _: &MachineSpec) -> Result<Box<dyn Machine>, MachineError> {
            if self.boots.fetch_add(1, Ordering::Relaxed) == 0 {
                self.over.cancel();
                panic!("planted");
            }
            while !self.over.is_cancelled() {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(100));
            Err(MachineError::Cancelled)
        }

        fn revision(&self) -> &'static str {
            "planted"
        }
    }

    #[test]
    fn a_panic_ends_the_run_with_its_message_and_the_seed() {
        for jobs in [1, 2] {
            let shard = Shard { index: 0, count: 1 };
            let plan = Plan { seed: 7, ops: USUAL_OPS, time: None, jobs, shard, fault: None, corpus: None };
            let backend = Panics::default();
            let ended = plan.run(&backend, &CancellationToken::new(), &Progress::default()).unwrap_err();
            assert_eq!(ended.status, Status::Setup);
            assert!(
                ended.message.starts_with("a worker panicked: planted\nagain: parallax fuzz --seed 7 --ops ")
            );
            assert!(backend.boots.into_inner() <= jobs);
        }
    }

    /// The user ends its first boot.
    struct Ended(CancellationToken);

    impl Backend for Ended {
        fn boot(&self, _: &MachineSpec) -> Result<Box<dyn Machine>, MachineError> {
            self.0.cancel();
            Err(MachineError::Cancelled)
        }

        fn revision(&self) -> &'static str {
            "ended"
        }
    }

    #[test]
    fn what_was_done_until_an_interruption_is_told() {
        let shard = Shard { index: 0, count: 1 };
        let plan = Plan { seed: 7, ops: USUAL_OPS, time: None, jobs: 1, shard, fault: None, corpus: None };
        let cancel = CancellationToken::new();
        let report = plan.run(&Ended(cancel.clone()), &cancel, &Progress::default()).unwrap();
        assert!(report.interrupted && report.machines == 0);
        let text = crate::fuzz::summary(&plan, &report);
        assert!(text.starts_with("seed 7, 0 operations on 0 machines\n"), "{text}");
    }

    #[test]
    fn the_first_trace_that_cannot_be_kept_is_what_is_told() {
        let shard = Shard { index: 0, count: 1 };
        let plan = |corpus: Option<&str>| {
            let corpus = corpus.map(PathBuf::from);
            Plan { seed: 7, ops: 1, time: None, jobs: 1, shard, fault: None, corpus }
        };
        let machine = plan(None).machine();
        let entry = Entry { machine: machine.machine, hostile: false, ops: machine.ops };
        let mut unkept = None;
        plan(None).save(&entry, &mut unkept);
        assert_eq!(unkept, None);
        plan(Some("/proc/self")).save(&entry, &mut unkept);
        let first = unkept.clone().unwrap();
        plan(Some("/dev/null")).save(&entry, &mut unkept);
        assert_eq!(unkept, Some(first));
    }
}
