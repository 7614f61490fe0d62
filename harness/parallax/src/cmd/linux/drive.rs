//! Lets that Linux run, and looks at it meanwhile.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use parallax_machine::{Linux, MachineError, Pause};
use parallax_model::{Finding, Reporter, check};

use super::operations::Operations;
use crate::engine::Observer;

/// How often there is an operation at least, while there are any to do.
const OPERATION: Duration = Duration::from_millis(50);

/// What is done while it runs.
#[derive(Debug)]
pub(super) struct Plan {
    /// How often all tables are looked at; zero for never.
    pub(super) every: Duration,
    /// It must have ended after so long.
    pub(super) limit: Duration,
    /// Rounds of operations beside its work.
    pub(super) operations: u32,
}

impl Plan {
    /// Nothing but running.
    pub(super) const fn run(limit: Duration) -> Self {
        Self { every: Duration::ZERO, limit, operations: 0 }
    }
}

/// All looks at a machine.
#[derive(Debug, Default)]
pub(super) struct Looks {
    observer: Option<Observer>,
    reporter: Reporter,
    /// How many.
    pub(super) count: usize,
    /// What they found.
    pub(super) findings: Vec<Finding>,
}

impl Looks {
    /// Looks once, if the hypervisor has booted.
    fn look(&mut self, linux: &mut Linux) -> Result<(), MachineError> {
        let Some((info, registers)) = linux.look()? else { return Ok(()) };
        let observer = self.observer.get_or_insert_with(|| Observer::new(linux.description(), info));
        let snapshot = observer.observe(linux.memory(), &registers);
        self.findings.extend(self.reporter.fresh(check(&snapshot, observer.context())));
        self.count += 1;
        Ok(())
    }
}

/// Lets `linux` run to its end, as `plan` says. `console` gives what it prints.
pub(super) fn drive(
    linux: &mut Linux,
    plan: &Plan,
    console: &Receiver<String>,
    looks: &mut Looks,
    operations: &mut Operations,
) -> Result<(), MachineError> {
    let begin = Instant::now();
    let (mut next, mut working) = (begin + plan.every, false);
    loop {
        let mut period = if plan.every.is_zero() { plan.limit } else { plan.every };
        if operations.left > 0 {
            period = period.min(OPERATION);
        }
        if linux.run_for(period)? == Pause::Ended {
            return Ok(());
        }
        if begin.elapsed() >= plan.limit {
            let waiting_for = "the guest's switching itself off";
            return Err(MachineError::Hang { waiting_for, limit: plan.limit, report: linux.printed() });
        }
        if !plan.every.is_zero() && Instant::now() >= next {
            looks.look(linux)?;
            next = Instant::now() + plan.every;
        }
        // The disks are at work from then on.
        working |= console.try_iter().any(|line| line.contains("PLX step virtio_appears"));
        if working && operations.left > 0 && operations.round(linux, |linux| looks.look(linux))?.is_none() {
            return Ok(());
        }
    }
}
