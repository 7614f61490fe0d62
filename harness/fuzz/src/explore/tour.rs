//! A tour, or a part of it, on a machine.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use parallax_abi::mailbox::SLOTS;
use parallax_engine::{Beginning, Session, SessionError, touches_data};
use parallax_graph::{Edge, Tour};
use parallax_machine::{Backend, CancellationToken, FailureClass, Machine, MachineError};
use parallax_model::Finding;
use parallax_trace::Op;

use super::performed::Performed;
use super::{Exploration, lost};
use crate::end::of_hypervisor;
use crate::search::until_cancelled;

/// A part of all: number `index` of `count`, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its number.
    pub index: usize,
    /// How many there are.
    pub count: usize,
}

impl Shard {
    /// Whether nothing of `exploration` is in it: there are more parts than states.
    #[must_use]
    pub fn is_empty(self, exploration: &Exploration) -> bool {
        (self.index..exploration.graph.states.len()).step_by(self.count.max(1)).next().is_none()
    }
}

/// Where something was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The state.
    pub state: usize,
    /// The operation that was performed in it, and what it should have done.
    pub edge: Edge,
    /// What was found; empty where the machine came to its end.
    pub findings: Vec<Finding>,
    /// How the machine came to its end, if it did.
    pub end: Option<End>,
}

/// The end of a machine.
#[derive(Clone, Debug)]
pub struct End {
    /// What is known of it.
    pub text: String,
    /// Whether the operation did it when it was performed step by step. Otherwise it is the first one of a batch that did.
    pub sure: bool,
}

impl Found {
    /// The first rule that was broken.
    #[must_use]
    pub fn rule(&self) -> String {
        self.findings
            .first()
            .map_or_else(|| "the machine came to its end".to_owned(), |first| first.rule.to_string())
    }
}

/// A state, an edge that is taken from it, and its operations.
type Taken<'a> = (usize, &'a Edge, Vec<Op>);

/// Performs `batch`: edges of one operation each that touches no data, or one edge alone. What is wrong with each.
fn taken(session: &mut Session<'_>, batch: &[Taken<'_>]) -> Result<Vec<Vec<Finding>>, SessionError> {
    match batch {
        [(_, _, ops)] if ops.len() > 1 || ops.iter().any(touches_data) => {
            let mut findings = Vec::new();
            for op in ops {
                findings.extend(session.step(op)?.findings);
            }
            Ok(vec![findings])
        }
        _ => {
            let ops: Vec<&Op> = batch.iter().flat_map(|(_, _, ops)| ops).collect();
            Ok(session.batch(&ops)?.into_iter().map(|step| step.findings).collect())
        }
    }
}

/// What was found by then, where the user ended it: `all` says so.
fn until_interrupted(
    found: Result<Option<Found>, MachineError>,
    all: &mut Performed,
) -> Result<Option<Found>, MachineError> {
    all.interrupted |= found.as_ref().is_err_and(|error| error.class() == FailureClass::Cancelled);
    if all.interrupted && found.is_err() { Ok(None) } else { found }
}

impl Exploration {
    /// Performs `shard` on as many machines as there are `jobs`. Tells `progress` of operations done. What was performed, until the
    /// user cancelled if he did, and what was found first on any machine.
    ///
    /// # Errors
    /// A machine does not boot, or QEMU was killed.
    pub fn run(
        &self,
        shard: Shard,
        jobs: usize,
        backend: &dyn Backend,
        cancel: &CancellationToken,
        progress: &AtomicU64,
    ) -> Result<(Performed, Option<Found>), MachineError> {
        let jobs = jobs.max(1);
        let results = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for job in 0..jobs {
                // Whatever the number of jobs, a shard is the same states.
                let part = Shard { index: shard.index + shard.count * job, count: shard.count * jobs };
                let results = &results;
                scope.spawn(move || {
                    let machine = self.machine().machine;
                    let mut performed = Performed::of(self);
                    let result = backend.boot(&machine).and_then(|mut machine| {
                        let means = (backend, cancel, progress);
                        self.perform(part, machine.as_mut(), means, &mut performed)
                    });
                    let result = (job, performed, result);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push(result);
                });
            }
        });
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_by_key(|(job, ..)| *job);
        let mut all = Performed::of(self);
        let mut found = None;
        for (_, performed, result) in results {
            all.add(&performed);
            found = found.or(until_interrupted(result, &mut all)?);
        }
        if found.is_none() && !all.interrupted && shard.index == 0 && self.set_up.is_none() {
            let result = self.untouched(backend, cancel, &mut all.untouched);
            found = until_interrupted(result, &mut all)?;
        }
        all.interrupted &= found.is_none();
        Ok((all, found))
    }

    /// Performs a part on `machine`, which has just booted, until something is found, and counts what was `performed`.
    fn perform(
        &self,
        part: Shard,
        machine: &mut dyn Machine,
        (backend, cancel, progress): (&dyn Backend, &CancellationToken, &AtomicU64),
        performed: &mut Performed,
    ) -> Result<Option<Found>, MachineError> {
        let (mut session, at_boot) = Session::start_with(machine, Beginning::default()).map_err(lost)?;
        session.stream().map_err(lost)?;
        let mut tour = Tour::of_part(&self.graph, part.index, part.count).peekable();
        if let (false, Some((state, edge))) = (at_boot.is_empty(), tour.peek().copied()) {
            let found = Found { state, edge: edge.clone(), findings: at_boot, end: None };
            return Ok(Some(found));
        }
        for op in self.first() {
            session.step(&op).map_err(lost)?;
        }
        while tour.peek().is_some() {
            if cancel.is_cancelled() {
                return Err(MachineError::Cancelled);
            }
            let mut batch: Vec<Taken<'_>> = Vec::new();
            while let Some((state, edge)) = tour.peek().copied() {
                let ops = self.ops(edge);
                let alone = ops.len() > 1 || ops.iter().any(touches_data);
                if batch.len() == SLOTS || alone && !batch.is_empty() {
                    break;
                }
                batch.push((state, edge, ops));
                tour.next();
                if alone {
                    break;
                }
            }
            if tour.peek().is_none() {
                session.look_closely();
            }
            let steps = match taken(&mut session, &batch) {
                Ok(steps) => steps,
                Err(error) => {
                    let end = of_hypervisor(error)?.to_string();
                    return self.end_of(&batch, &end, backend, cancel).map(Some);
                }
            };
            for ((state, edge, _), findings) in batch.iter().zip(steps) {
                performed.count(*state, edge);
                if !findings.is_empty() {
                    let found = Found { state: *state, edge: (*edge).clone(), findings, end: None };
                    return Ok(Some(found));
                }
            }
            progress.fetch_add(batch.len() as u64, Ordering::Relaxed);
        }
        Ok(None)
    }

    /// Which operation of `batch` a machine came to its end in, as `end` says: a fresh one performs them step by step. Where the user
    /// cancels that, it is one of the batch.
    fn end_of(
        &self,
        batch: &[Taken<'_>],
        end: &str,
        backend: &dyn Backend,
        cancel: &CancellationToken,
    ) -> Result<Found, MachineError> {
        let found = |(state, edge, _): &Taken<'_>, findings, end| Found {
            state: *state,
            edge: (*edge).clone(),
            findings,
            end,
        };
        let unsure = || found(&batch[0], Vec::new(), Some(End { text: end.to_owned(), sure: false }));
        let mut machine = match backend.boot(&self.machine().machine) {
            Err(_) if cancel.is_cancelled() => return Ok(unsure()),
            machine => machine?,
        };
        let (mut session, _) = Session::start_with(machine.as_mut(), Beginning::default()).map_err(lost)?;
        let way = self.graph.way_to(batch[0].0).into_iter().flat_map(|edge| self.ops(edge));
        let way: Vec<Op> = self.first().into_iter().chain(way).collect();
        let way = way.iter().map(|op| (None, op));
        let of_batch = batch.iter().flat_map(|taken| taken.2.iter().map(move |op| (Some(taken), op)));
        for (performed, op) in way.chain(of_batch) {
            if cancel.is_cancelled() {
                break;
            }
            match (session.step(op), performed) {
                (Ok(step), Some(performed)) if !step.findings.is_empty() => {
                    return Ok(found(performed, step.findings, None));
                }
                (Ok(_), _) => {}
                (Err(error), performed) => {
                    match (until_cancelled(of_hypervisor(error).map(Some))?, performed) {
                        (Some(error), Some(performed)) => {
                            let end = End { text: error.to_string(), sure: true };
                            return Ok(found(performed, Vec::new(), Some(end)));
                        }
                        _ => break,
                    }
                }
            }
        }
        Ok(unsure())
    }
}
