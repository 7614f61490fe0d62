//! One machine under attack.

use std::sync::atomic::{AtomicU64, Ordering};

use parallax_addr::{Ipa, PAGE_SIZE};
use parallax_engine::status::{Failure, Status};
use parallax_engine::{Beginning, Sentinel, Session, SessionError};
use parallax_machine::{CancellationToken, Machine, MachineError};
use parallax_model::{BlockSize, Finding, Span, View, state_lines};
use parallax_trace::Outcome;
use sha2::{Digest, Sha256};

use crate::act::{Act, Class, physical};
use crate::counts::Counts;
use crate::end::of_hypervisor;
use crate::generator::{BURST, Generator};
use crate::layout::CANARY;

/// What went wrong.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// How many operations had been performed then.
    pub at: u64,
    /// What it is, in one line that stays the same when other operations lead to it.
    pub key: String,
    /// The operation after which it was seen.
    pub op: String,
    /// What was found.
    pub findings: Vec<Finding>,
    /// How the machine came to its end, if it did.
    pub end: Option<String>,
}

/// What one machine is to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub(super) seed: u64,
    pub(super) index: u64,
    /// Operations, the last ones of them in order.
    pub(super) ops: usize,
    /// Where to stop all the same.
    pub(super) until: usize,
    pub(super) cpus: u8,
    pub(super) emulated: bool,
}

/// What it did.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// What was performed, the operations that led to trouble included.
    pub(super) acts: Vec<Act>,
    pub(super) counts: Counts,
    pub(super) digest: [u8; 32],
    pub(super) trouble: Option<Trouble>,
    /// The user ended it before it had performed all.
    pub(super) cut: bool,
}

/// What came of a piece of a list: operations without a stop between them.
pub(super) struct Piece {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) changed: bool,
    pub(super) trouble: Option<Trouble>,
}

/// A machine that is attacked.
pub(super) struct AttackedMachine<'m> {
    session: Session<'m>,
    performed: u64,
}

impl<'m> AttackedMachine<'m> {
    /// A machine that has just booted. What is wrong with it already is trouble too.
    ///
    /// # Errors
    /// The machine cannot be read.
    pub(super) fn new(machine: &'m mut dyn Machine) -> Result<(Self, Option<Trouble>), SessionError> {
        let sentinel = Sentinel::new(Span::new(Ipa::new(physical(CANARY)), PAGE_SIZE));
        let beginning = Beginning { judges: vec![Box::new(sentinel)], ..Beginning::default() };
        let (session, findings) = Session::start_with(machine, beginning)?;
        let trouble = trouble(0, "boot", findings);
        Ok((Self { session, performed: 0 }, trouble))
    }

    /// All of the hypervisor's memory is compared after what comes next.
    pub(super) const fn look_closely(&mut self) {
        self.session.look_closely();
    }

    /// Performs `acts`, which [`piece_len`] has found to go together.
    ///
    /// # Errors
    /// The user cancelled, or QEMU was killed. Any other end of the machine is trouble.
    pub(super) fn perform(&mut self, acts: &[Act]) -> Result<Piece, MachineError> {
        self.performed += acts.len() as u64;
        let done = match acts {
            // Service is judged to the letter.
            [act] if act.class == Class::Service && act.op.shape().is_device() => self
                .session
                .step(&act.op)
                .map(|step| (vec![step.outcome], step.findings, !step.lines.is_empty())),
            _ => {
                let ops: Vec<_> = acts.iter().map(|act| &act.op).collect();
                self.session.together(&ops).map(|all| (all.outcomes, all.findings, all.changed))
            }
        };
        let (outcomes, findings, changed) = match done {
            Ok(done) => done,
            Err(error) => {
                let trouble = Some(ended(self.performed, &named(acts), of_hypervisor(error)?));
                return Ok(Piece { outcomes: Vec::new(), changed: true, trouble });
            }
        };
        Ok(Piece { outcomes, changed, trouble: trouble(self.performed, &named(acts), findings) })
    }
}

/// What a finding calls operations without a stop between them.
fn named(acts: &[Act]) -> String {
    match acts {
        [] => String::new(),
        [act] => act.op.to_string(),
        [.., last] => {
            format!("{} (or one of the {} before it: no stop between them)", last.op, acts.len() - 1)
        }
    }
}

fn trouble(at: u64, op: &str, findings: Vec<Finding>) -> Option<Trouble> {
    let first = findings.first()?;
    let key = first.rule.to_string();
    Some(Trouble { at, key, op: op.to_owned(), findings, end: None })
}

/// The machine came to an end.
fn ended(at: u64, op: &str, error: SessionError) -> Trouble {
    let Failure { message, .. } = error.into();
    let key = message.lines().next().unwrap_or_default().to_owned();
    Trouble { at, key, op: op.to_owned(), findings: Vec::new(), end: Some(message) }
}

/// How many of `acts` go together from the first one on: a device's operation alone, others up to the next of those.
pub(super) fn piece_len(acts: &[Act]) -> usize {
    let until = acts.iter().position(|act| act.op.shape().is_device()).unwrap_or(acts.len());
    until.clamp(1, BURST).min(acts.len())
}

impl Round {
    /// Attacks `machine`, which has just booted, until it has performed all or the user cancels. Tells `progress` of operations done.
    ///
    /// # Errors
    /// The machine cannot be read.
    pub(super) fn run(
        self,
        machine: &mut dyn Machine,
        cancel: &CancellationToken,
        progress: &AtomicU64,
    ) -> Result<Run, MachineError> {
        let (mut attacked, trouble) = AttackedMachine::new(machine).map_err(machine_error)?;
        let mut run = Run { trouble, ..Run::default() };
        let mut digest = Sha256::new();
        let mut generator = Generator::new(self.seed, self.index, self.cpus, self.emulated);
        let mut queue = Generator::opening();
        let (mut ending, end) = (0, generator.end());
        while run.trouble.is_none() && run.acts.len() < self.until {
            if queue.is_empty() {
                // What is left is for the end: a last look, then a last service.
                let room = self.ops - run.acts.len();
                ending += usize::from(ending != 0 || room <= end);
                queue = match ending {
                    0 => generator.burst(),
                    1 => generator.closing(),
                    _ => generator.service(),
                };
                // Half a round of service would leave something behind for the last one.
                if ending == 0 && queue.len() > room - end {
                    (ending, queue) = (1, generator.closing());
                }
                queue.truncate(room);
                continue;
            }
            if cancel.is_cancelled() {
                run.cut = true;
                break;
            }
            let len = piece_len(&queue).min(self.until - run.acts.len());
            let acts: Vec<Act> = queue.drain(..len).collect();
            if run.acts.len() + len >= self.until {
                attacked.look_closely();
            }
            let piece = match attacked.perform(&acts) {
                Err(MachineError::Cancelled) => {
                    run.cut = true;
                    break;
                }
                piece => piece?,
            };
            for (act, outcome) in acts.iter().zip(&piece.outcomes) {
                digest.update(format!("{} -> {outcome}\n", act.op));
                run.counts.count(act, outcome);
                generator.learn(act, outcome);
            }
            digest.update([u8::from(piece.changed)]);
            run.counts.looks[0] += 1;
            run.counts.looks[1] += u64::from(piece.changed);
            progress.fetch_add(acts.len() as u64, Ordering::Relaxed);
            run.acts.extend(acts);
            run.trouble = piece.trouble;
        }
        run.counts.sealed = attacked.session.watched();
        let symbols = &attacked.session.context().symbols;
        for line in state_lines(attacked.session.snapshot(), symbols, View::All, BlockSize::Shown) {
            digest.update(format!("{line}\n"));
        }
        run.digest = digest.finalize().into();
        Ok(run)
    }
}

fn machine_error(error: SessionError) -> MachineError {
    match error {
        SessionError::Machine(error) => error,
        other => MachineError::Contract(other.to_string()),
    }
}

impl Trouble {
    /// The status of a run that met it.
    #[must_use]
    pub const fn status(&self) -> Status {
        Status::Diverged
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::number;

    #[test]
    fn a_device_works_alone() {
        let nop = || Act::new(Class::Accesses, "nop", &[]);
        let dma = || Act::new(Class::Dma, "dma_read", &[number(8), number(0)]);
        assert_eq!(piece_len(&[nop(), nop(), dma(), nop()]), 2);
        assert_eq!(piece_len(&[dma(), nop()]), 1);
        assert_eq!(piece_len(&vec![nop(); 100]), BURST);
        assert_eq!(piece_len(&[]), 0);
    }
}
