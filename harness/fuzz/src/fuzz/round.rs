//! One machine of a run.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use parallax_machine::{Backend, CancellationToken, MachineError};
use parallax_ops::Outcome;
use parallax_trace::Op;
use sha2::{Digest, Sha256};

use super::counts::Counts;
use super::generator::{Generator, Setting, Step};
use super::kind::Kind;
use super::machines::Drawn;
use super::performing::{Performing, boot};
use super::reached::Reached;
use crate::end::killed_by;
use crate::random::Random;
use crate::round::Trouble;

/// What a machine is to do.
#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) drawn: Drawn,
    /// Decides what comes behind the beginning.
    pub(super) random: Random,
    /// What it begins with.
    pub(super) begin: Vec<Op>,
    /// How many operations.
    pub(super) until: usize,
}

/// What a machine runs with.
#[derive(Clone, Copy)]
pub(super) struct Means<'a> {
    /// Nothing of this is new.
    pub(super) known: &'a Reached,
    pub(super) backend: &'a dyn Backend,
    /// Ends it.
    pub(super) cancel: &'a CancellationToken,
    /// Is told of operations done.
    pub(super) progress: &'a AtomicU64,
}

/// What it did.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) ops: Vec<Op>,
    pub(super) counts: Counts,
    pub(super) digest: [u8; 32],
    pub(super) trouble: Option<Trouble>,
    pub(super) reached: Reached,
    /// How many operations it had performed when it reached something new for the last time.
    pub(super) new_until: usize,
    /// The user ended it before it had performed all.
    pub(super) cut: bool,
}

impl Round {
    /// As [`Self::run`]; where QEMU is killed, once more from the beginning.
    ///
    /// # Errors
    /// As there.
    pub(super) fn run_again_if_killed(self, means: Means<'_>) -> Result<Run, MachineError> {
        match self.clone().run(means) {
            Err(error) if error.is_killed() => {
                parallax_engine::note!("{}: its machine is run once more", killed_by(&error));
                self.run(means)
            }
            result => result,
        }
    }

    /// Boots the machine and has it perform what it is to do, or what comes before the user cancels.
    ///
    /// # Errors
    /// The machine does not boot or cannot be read, or the user cancelled before it had booted.
    fn run(self, Means { known, backend, cancel, progress }: Means<'_>) -> Result<Run, MachineError> {
        let mut run = Run { reached: known.clone(), ..Run::default() };
        let mut machine = match boot(&self.drawn.spec, backend)? {
            Ok(machine) => machine,
            Err(trouble) => return Ok(Run { trouble: Some(trouble), ..run }),
        };
        let (mut performing, trouble) = Performing::new(machine.as_mut(), false)?;
        run.trouble = trouble;
        performing.quiet(self.drawn.quiet());
        let setting = Setting::of(&self.drawn, performing.map());
        let random = self.random;
        let mut generator = performing.with_view(|view| Generator::new(random, setting, view));
        let again = |op| Step { kind: Kind::Again, place: None, op };
        let mut queue: VecDeque<Step> = self.begin.into_iter().map(again).collect();
        let mut digest = Sha256::new();
        while run.trouble.is_none() && run.ops.len() < self.until {
            if queue.is_empty() {
                performing.with_view(|view| generator.learn(view));
                queue.extend(generator.chunk());
            }
            if cancel.is_cancelled() {
                run.cut = true;
                break;
            }
            let len = performing.piece_len(queue.iter().map(|step| &step.op));
            let len = len.min(self.until - run.ops.len());
            let mut steps: Vec<Step> = queue.drain(..len).collect();
            if run.ops.len() + len == self.until {
                performing.look_closely();
            }
            let ops: Vec<&Op> = steps.iter().map(|step| &step.op).collect();
            let piece = match performing.perform(&ops) {
                Err(MachineError::Cancelled) => {
                    run.cut = true;
                    break;
                }
                piece => piece?,
            };
            for (step, outcome) in steps.iter_mut().zip(&piece.outcomes) {
                digest.update(format!("{} -> {outcome}\n", step.op));
                run.counts.count(step, outcome);
                generator.hears(step, outcome);
                // As a trace it must say so.
                if *outcome == Outcome::Timeout {
                    step.op.expect.get_or_insert(Outcome::Timeout);
                }
            }
            run.ops.extend(steps.into_iter().map(|step| step.op));
            run.trouble = piece.trouble;
            progress.fetch_add(len as u64, Ordering::Relaxed);
            let states = std::mem::take(&mut generator.states);
            if (queue.is_empty() || len > 1) && run.reached.add(performing.executed().as_ref(), &states) {
                run.new_until = run.ops.len();
            } else {
                generator.states = states;
            }
        }
        if let Some(trouble) = &run.trouble {
            run.ops.truncate(trouble.at as usize);
        }
        performing.lines().iter().for_each(|line| digest.update(format!("{line}\n")));
        run.digest = digest.finalize().into();
        Ok(run)
    }
}
