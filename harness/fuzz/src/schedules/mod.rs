//! Two operations at once on the real hypervisor, under many schedules.
//!
//! The machine's CPUs go on one at a time, from point to point ([`AtOnce`](parallax_machine::AtOnce)). Half of the schedules have a
//! single switch, and come in order; in the others who goes on is drawn, each turn anew or with few changes (PCT). All judges look at what
//! came of it; the specification asks whether some order of the two explains it. What is found is reduced to a schedule with few switches, and to what has to come before.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`situations`] | what happens at once, and after what |
//! | [`held`] | those in which hardware uses memory of the host's |
//! | [`plan`] | which of them a schedule is tried on, and how |
//! | [`choice`] | who goes on |
//! | [`attempt`] | one machine under one schedule |
//! | [`shrink`] | a schedule with fewer switches |
//! | [`columns`] | the turns of both CPUs side by side |

mod attempt;
mod choice;
mod columns;
mod held;
mod plan;
mod shrink;
mod situations;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use parallax_abi::fault::Fault;
use parallax_engine::scheduler;
use parallax_machine::{Backend, CancellationToken, FailureClass, MachineError};
use parallax_ops::Schedule;
use parallax_trace::Trace;

use self::attempt::{Attempt, attempt};
pub use self::columns::columns;
use self::plan::Plan;
pub use self::situations::{Situation, situations};
use crate::search::Trials;

/// Machines that are booted to reduce what was found.
const TRIALS: usize = 120;

/// A search.
#[derive(Clone, Debug)]
pub struct Search {
    /// What decides everything.
    pub seed: u64,
    /// How many schedules are tried.
    pub schedules: u64,
    /// The fault that is on.
    pub fault: Option<Fault>,
    /// What happens at once.
    pub situations: Vec<Situation>,
}

/// Something that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Which schedule it was, from 0.
    pub number: u64,
    /// What was found, a line each.
    pub findings: Vec<String>,
    /// The trace that shows it.
    pub trace: String,
    /// The turns of both CPUs.
    pub columns: String,
    /// How many switches the schedule had, and has.
    pub switches: (usize, usize),
    /// Whether the trace shows it again.
    pub shown: Option<bool>,
}

/// What a search did.
#[derive(Clone, Debug, Default)]
pub struct Searched {
    /// Schedules that were tried.
    pub schedules: u64,
    /// Turns in all of them.
    pub turns: u64,
    /// Switches from one CPU to the other.
    pub switches: u64,
    /// Whether the user ended it before all were tried, or something was found.
    pub interrupted: bool,
}

impl Search {
    /// The machines that it needs, as traces.
    ///
    /// # Errors
    /// There is no situation.
    pub fn machines(&self) -> Result<Vec<Trace>, String> {
        if self.situations.is_empty() {
            return Err("no two operations that happen at once are left".to_owned());
        }
        Ok(self.situations.iter().map(|situation| self.parsed(situation, "")).collect())
    }

    fn head(&self) -> String {
        self.fault.map_or_else(String::new, |fault| format!("fault {}\n", fault.name()))
    }

    fn parsed(&self, situation: &Situation, schedule: &str) -> Trace {
        Trace::parse("schedules", &situation.trace(&self.head(), schedule)).expect("a situation is a trace")
    }

    fn plan(&self) -> Plan<'_> {
        Plan { seed: self.seed, situations: &self.situations }
    }

    fn try_one(&self, number: u64, backend: &dyn Backend) -> Result<Attempt, MachineError> {
        let (situation, mut scheduler) = self.plan().schedule(number);
        attempt(&self.parsed(situation, ""), backend, &mut |able| scheduler.choose(able))
    }

    /// Tries all schedules, `jobs` at a time; `done` counts them. The first one that shows something ends it, and so does the user.
    ///
    /// # Errors
    /// A machine does not boot, or QEMU was killed.
    pub fn run(
        &self,
        jobs: usize,
        backend: &dyn Backend,
        cancel: &CancellationToken,
        done: &AtomicU64,
    ) -> Result<(Searched, Option<Found>), MachineError> {
        let next = AtomicU64::new(0);
        let result = Mutex::new((Searched::default(), None::<(u64, Attempt)>, None::<MachineError>));
        let locked = || result.lock().unwrap_or_else(PoisonError::into_inner);
        std::thread::scope(|scope| {
            for _ in 0..jobs.max(1) {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        // Those before the first one that was found are tried all the same: which one is told hangs on nobody's speed.
                        let over = locked().1.as_ref().is_some_and(|(first, _)| *first < number);
                        if number >= self.schedules || over || locked().2.is_some() || cancel.is_cancelled() {
                            return;
                        }
                        let tried = self.try_one(number, backend);
                        let mut result = locked();
                        done.fetch_add(1, Ordering::Relaxed);
                        match tried {
                            Err(error) if error.class() == FailureClass::Cancelled => return,
                            Ok(attempt) => {
                                result.0.add(&attempt);
                                let first = result.1.as_ref().is_none_or(|(first, _)| *first > number);
                                if !attempt.found.is_empty() && first {
                                    result.1 = Some((number, attempt));
                                }
                            }
                            Err(error) => result.2 = Some(error),
                        }
                    }
                });
            }
        });
        let (mut searched, found, error) = result.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = error {
            return Err(error);
        }
        searched.interrupted = found.is_none() && searched.schedules < self.schedules;
        let found =
            found.map(|(number, attempt)| self.reduced(number, &attempt, backend, cancel)).transpose()?;
        Ok((searched, found))
    }

    /// What attempt number `number` found, in its simplest form; where the user cancels or QEMU is killed, in one that is as simple as
    /// it is by then.
    fn reduced(
        &self,
        number: u64,
        first: &Attempt,
        backend: &dyn Backend,
        cancel: &CancellationToken,
    ) -> Result<Found, MachineError> {
        let trials = Trials::default();
        let again = |situation: &Situation, schedule: &Schedule| {
            trials.attempt(|| {
                if cancel.is_cancelled() {
                    return Err(MachineError::Cancelled);
                }
                let trace = self.parsed(situation, &schedule.to_string());
                let tried = attempt(&trace, backend, &mut scheduler(schedule))?;
                Ok(Some(tried).filter(|attempt| attempt.rule == first.rule))
            })
        };
        let mut situation = self.plan().schedule(number).0.clone();
        let mut shows = |turns: &[parallax_ops::CpuId]| {
            again(&situation, &Schedule::new(turns.iter().copied())).map(|same| same.is_some())
        };
        let shortest = Schedule::new(shrink::shrink(first.choices.clone(), TRIALS, &mut shows)?);
        let parts: [fn(&mut Situation) -> &mut Vec<&'static str>; 2] =
            [|situation| &mut situation.after, |situation| &mut situation.beginning];
        for part in parts {
            for index in (0..part(&mut situation).len()).rev() {
                let mut shorter = situation.clone();
                part(&mut shorter).remove(index);
                if again(&shorter, &shortest)?.is_some() {
                    situation = shorter;
                }
            }
        }
        let last = again(&situation, &shortest)?;
        let shown = trials.unless_ended(last.is_some());
        let told = last.as_ref().unwrap_or(first);
        let head =
            format!("{}# parallax schedules: {}\n", self.head(), first.rule.as_deref().unwrap_or("found"));
        Ok(Found {
            number,
            findings: told.found.clone(),
            trace: situation.trace(&head, &shortest.to_string()),
            columns: columns(situation.pair, &told.turns, &told.outcomes),
            switches: (first.schedule().switches(), shortest.switches()),
            shown,
        })
    }
}

impl Searched {
    fn add(&mut self, attempt: &Attempt) {
        self.schedules += 1;
        self.turns += attempt.turns.len() as u64;
        self.switches += attempt.schedule().switches() as u64;
    }
}
