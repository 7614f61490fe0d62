//! An attack: which machines there are, what each performs, and what came of them.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parallax_abi::fault::Fault;
use parallax_engine::Reproducer;
use parallax_machine::{Backend, CancellationToken, FailureClass, MachineError};
use parallax_trace::Trace;
use sha2::{Digest, Sha256};

use crate::act::Act;
use crate::counts::Counts;
use crate::reduce;
use crate::round::{Round, Trouble};

/// Operations of one machine.
pub const MACHINE_OPS: u64 = 4096;

/// The machines, in turn: what follows the word `machine` in a trace.
const MACHINES: [&str; 4] = [
    "cpus=2 smmu.host=emulated devices=edu@1,edu@2",
    "smmu.host=emulated devices=edu@1,edu@2",
    "cpus=2 smmu.host=emulated smmu.sid_bits=4 devices=edu@1,edu@2",
    "cpus=2 devices=edu@1,edu@2",
];

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// How many operations.
    pub ops: u64,
    /// CPUs of every machine, instead of one and two in turn.
    pub cpus: Option<u8>,
    /// A fault to switch on.
    pub fault: Option<Fault>,
    /// How many machines at a time.
    pub jobs: usize,
    /// The last machine stops after operation [`Self::ops`] as if there were more; otherwise it ends in order.
    pub cut: bool,
}

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// Machines that were run.
    pub machines: usize,
    /// What was done, and how it ended.
    pub counts: Counts,
    /// Stands for every operation, result and final state.
    pub digest: String,
    /// The first thing that went wrong.
    pub trouble: Option<Trouble>,
    /// Whether the user ended it before all was performed, or something was found.
    pub interrupted: bool,
    /// What the last machine did, and its number.
    last: (usize, Vec<Act>),
}

impl Plan {
    /// How many machines there are.
    #[must_use]
    pub const fn machines(&self) -> usize {
        self.ops.div_ceil(MACHINE_OPS) as usize
    }

    /// The machine with this number, as a trace without operations of its own.
    #[must_use]
    pub fn machine(&self, index: usize) -> Trace {
        let text = format!("machine {}\nnop\n", MACHINES[index % MACHINES.len()]);
        let mut trace = Trace::parse("attack", &text).expect("the machines of this module are well formed");
        trace.machine.cpus = self.cpus.unwrap_or(trace.machine.cpus);
        trace.fault = self.fault;
        trace.machine.hyp.fault = self.fault;
        trace.machine.faults_build = self.fault.is_some();
        trace
    }

    /// The line of a trace that asks for the machine with this number.
    fn machine_line(&self, index: usize) -> String {
        let keys = MACHINES[index % MACHINES.len()];
        match self.cpus {
            Some(cpus) => format!("machine cpus={cpus} {}", keys.trim_start_matches("cpus=2 ")),
            None => format!("machine {keys}"),
        }
    }

    /// The command that performs the same operations again, up to number `at` of the run.
    #[must_use]
    pub fn reproducer(&self, at: u64) -> Reproducer {
        // Nothing is replayed of a machine that was wrong before its first operation but its boot and one operation.
        let mut words =
            vec!["attack".to_owned(), "--replay".to_owned(), format!("{}:{}", self.seed, at.max(1))];
        words.extend(self.cpus.into_iter().flat_map(|cpus| ["--cpus".to_owned(), cpus.to_string()]));
        words
            .extend(self.fault.into_iter().flat_map(|fault| ["--fault".to_owned(), fault.name().to_owned()]));
        Reproducer::new(words)
    }

    fn round(&self, index: usize) -> Round {
        let trace = self.machine(index);
        let left = self.ops - index as u64 * MACHINE_OPS;
        Round {
            seed: self.seed,
            index: index as u64,
            ops: if self.cut { MACHINE_OPS } else { left.min(MACHINE_OPS) } as usize,
            until: left.min(MACHINE_OPS) as usize,
            cpus: trace.machine.cpus,
            emulated: trace.machine.hyp.smmu_host == parallax_trace::spec::HostView::Emulated,
        }
    }

    /// Runs the machines from number `first` on until something is found or the user cancels, and tells `progress` of operations done. The
    /// result is the same whatever [`Self::jobs`] is, if nobody cancels: nothing counts that came behind the first trouble.
    ///
    /// # Errors
    /// A machine does not boot.
    pub fn run(
        &self,
        first: usize,
        backend: &dyn Backend,
        cancel: &CancellationToken,
        progress: &AtomicU64,
    ) -> Result<Report, MachineError> {
        let (next, stop) = (AtomicUsize::new(first), AtomicUsize::new(self.machines()));
        let results = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.clamp(1, self.machines().max(1)) {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= stop.load(Ordering::Relaxed) || cancel.is_cancelled() {
                            break;
                        }
                        let trace = self.machine(index);
                        let result = backend.boot(&trace.machine).and_then(|mut machine| {
                            self.round(index).run(machine.as_mut(), cancel, progress)
                        });
                        if result.as_ref().map_or(true, |run| run.trouble.is_some()) {
                            stop.fetch_min(index + 1, Ordering::Relaxed);
                        }
                        results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
                    }
                });
            }
        });
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_by_key(|(index, _)| *index);
        // A machine that had not booted when the user cancelled did nothing.
        let cancelled = |error: &MachineError| error.class() == FailureClass::Cancelled;
        results.retain(|(_, result)| !result.as_ref().is_err_and(cancelled));
        let mut report = Report {
            machines: 0,
            counts: Counts::default(),
            digest: String::new(),
            trouble: None,
            interrupted: false,
            last: (first, Vec::new()),
        };
        let mut digest = Sha256::new();
        for (index, result) in results {
            let run = result?;
            report.machines += 1;
            report.interrupted |= run.cut;
            report.counts.add(&run.counts);
            digest.update(run.digest);
            report.last = (index, run.acts);
            if let Some(mut trouble) = run.trouble {
                trouble.at += index as u64 * MACHINE_OPS;
                report.trouble = Some(trouble);
                break;
            }
        }
        report.interrupted |= report.machines < self.machines() - first;
        report.interrupted &= report.trouble.is_none();
        report.digest = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Ok(report)
    }

    /// The trouble of `report` as a trace: what led to it, or if `shrink` as little of it as still shows it. Also
    /// whether the trace alone shows it, performed one operation at a time. `None` if there was no trouble. Where the user cancels or QEMU
    /// is killed, the trace is as short as it is by then, and nobody knows whether it shows it.
    ///
    /// # Errors
    /// A machine does not boot.
    pub fn trace(
        &self,
        report: &Report,
        shrink: bool,
        backend: &dyn Backend,
        cancel: &CancellationToken,
    ) -> Result<Option<(String, Option<bool>)>, MachineError> {
        let Some(trouble) = &report.trouble else { return Ok(None) };
        let (index, acts) = &report.last;
        let trace = self.machine(*index);
        let boot = || backend.boot(&trace.machine);
        let (acts, shown) = reduce::reduce(acts.clone(), trouble, shrink, &boot, cancel)?;
        Ok(Some((self.text(*index, &acts, &trouble.key), shown)))
    }

    /// What the last machine of `report` did, as a trace.
    #[must_use]
    pub fn performed(&self, report: &Report) -> String {
        self.text(report.last.0, &report.last.1, "nothing found")
    }

    fn text(&self, index: usize, acts: &[Act], what: &str) -> String {
        let mut text = self.fault.map_or_else(String::new, |fault| format!("fault {}\n", fault.name()));
        text.push_str(&format!(
            "# parallax attack --seed {}: {what}\n{}",
            self.seed,
            self.machine_line(index)
        ));
        for act in acts {
            text.push_str(&format!("\n{}", act.op));
            if let Some(expected) = &act.op.expect {
                text.push_str(&format!(" => {expected}"));
            }
        }
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(ops: u64) -> Plan {
        Plan { seed: 1, ops, cpus: None, fault: None, jobs: 1, cut: false }
    }

    #[test]
    fn every_operation_belongs_to_one_machine() {
        let plan = plan(10_000);
        let ops: Vec<usize> = (0..plan.machines()).map(|index| plan.round(index).ops).collect();
        assert_eq!(ops, [4096, 4096, 1808]);
    }

    #[test]
    fn the_machine_line_is_that_of_the_machine() {
        for cpus in [None, Some(1), Some(4)] {
            let plan = Plan { cpus, ..plan(100_000) };
            for index in 0..MACHINES.len() {
                let text = format!("{}\nnop\n", plan.machine_line(index));
                assert_eq!(Trace::parse("t", &text).unwrap().machine, plan.machine(index).machine);
            }
        }
    }
}
