//! Who catches a switchable fault, and after how many operations.

use parallax_abi::fault::Fault;
use parallax_engine::status::Failure;
use parallax_engine::{Beginning, Session};
use parallax_machine::{Backend, CancellationToken, MachineError};
use parallax_trace::Trace;

use crate::end::of_hypervisor;
use crate::explore::{Exploration, PAGES, Shard, lost};
use crate::fuzz;
use crate::plan::Plan;
use crate::round::Trouble;

/// That something was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caught {
    /// The rule, or that the machine came to its end.
    pub rule: String,
    /// How many operations had been performed then.
    pub operations: u64,
}

/// Who catches a fault; nothing where something does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// The rules that its trace breaks, each where it is broken first, in that order.
    pub trace: Vec<Caught>,
    /// `parallax explore`.
    pub explore: Option<Caught>,
    /// `parallax explore --smmu`.
    pub smmu: Option<Caught>,
    /// `parallax attack`.
    pub attack: Option<Caught>,
    /// `parallax fuzz`.
    pub fuzz: Option<Caught>,
}

impl Score {
    /// The first of its trace's findings that is the specification's.
    #[must_use]
    pub fn spec(&self) -> Option<&Caught> {
        self.trace.iter().find(|caught| caught.rule.starts_with("spec/"))
    }

    /// What was found without its trace.
    pub fn searched(&self) -> impl Iterator<Item = &Caught> {
        [&self.explore, &self.smmu, &self.attack, &self.fuzz].into_iter().flatten()
    }

    /// Whether anything catches it.
    #[must_use]
    pub fn is_caught(&self) -> bool {
        !self.trace.is_empty() || self.searched().next().is_some()
    }
}

/// What a score is made with.
pub struct Means<'a> {
    /// Machines with the plugin.
    pub watched: &'a dyn Backend,
    /// The same, and it notes which instructions ran.
    pub covered: &'a dyn Backend,
    /// Machines without.
    pub bare: &'a dyn Backend,
    /// What decides the operations of the attack and of the fuzzer.
    pub seed: u64,
    /// How many operations the attack has; with none there is no attack.
    pub attack_ops: u64,
    /// How many operations the fuzzer has; with none it is left out.
    pub fuzz_ops: u64,
    /// Ends it.
    pub cancel: &'a CancellationToken,
}

impl Means<'_> {
    /// The score of `fault`, which `trace` is about, or with none of what is found where there is no fault.
    ///
    /// # Errors
    /// A machine does not boot, or the user cancelled.
    pub fn score(&self, fault: Option<Fault>, trace: Option<&Trace>) -> Result<Score, Failure> {
        let trace = trace.map_or_else(|| Ok(Vec::new()), |trace| self.performed(trace))?;
        let pages = Exploration::new(&PAGES, 2, fault).map_err(MachineError::Contract)?;
        let smmu = Exploration::with_smmu(&PAGES[..1], 2, fault).map_err(MachineError::Contract)?;
        Ok(Score {
            trace,
            explore: self.explored(&pages)?,
            smmu: self.explored(&smmu)?,
            attack: self.attacked(fault)?,
            fuzz: self.fuzzed(fault)?,
        })
    }

    fn performed(&self, trace: &Trace) -> Result<Vec<Caught>, MachineError> {
        let mut machine = self.watched.boot(&trace.machine)?;
        let (mut session, at_boot) =
            Session::start_with(machine.as_mut(), Beginning::default()).map_err(lost)?;
        let mut found: Vec<Caught> = Vec::new();
        let mut add = |rule: String, operations| {
            if found.iter().all(|known| known.rule != rule) {
                found.push(Caught { rule, operations });
            }
        };
        at_boot.iter().for_each(|finding| add(finding.rule.to_string(), 0));
        let (mut rest, mut number) = (&trace.ops[..], 0);
        while !rest.is_empty() {
            if self.cancel.is_cancelled() {
                return Err(MachineError::Cancelled);
            }
            match session.next(rest) {
                Ok(steps) => {
                    rest = &rest[steps.len().clamp(1, rest.len())..];
                    for step in steps {
                        number += 1;
                        step.findings.iter().for_each(|finding| add(finding.rule.to_string(), number));
                    }
                }
                Err(error) => {
                    of_hypervisor(error)?;
                    add(END.to_owned(), number + 1);
                    break;
                }
            }
        }
        Ok(found)
    }

    fn explored(&self, exploration: &Exploration) -> Result<Option<Caught>, MachineError> {
        let all = Shard { index: 0, count: 1 };
        let explored = exploration.run(all, 1, self.watched, self.cancel, &0.into());
        match explored {
            Ok((performed, _)) if performed.interrupted => Err(MachineError::Cancelled),
            Ok((performed, found)) => {
                Ok(found.map(|found| Caught { rule: found.rule(), operations: performed.operations }))
            }
            Err(MachineError::Cancelled) => Err(MachineError::Cancelled),
            Err(error) if error.is_killed() => Err(error),
            // A fault of the boot.
            Err(_) => Ok(Some(Caught { rule: END.to_owned(), operations: 0 })),
        }
    }

    fn attacked(&self, fault: Option<Fault>) -> Result<Option<Caught>, MachineError> {
        let (seed, ops) = (self.seed, self.attack_ops);
        if ops == 0 {
            return Ok(None);
        }
        let plan = Plan { seed, ops, cpus: None, fault, jobs: 1, cut: false };
        match plan.run(0, self.bare, self.cancel, &0.into()) {
            Ok(report) if report.interrupted => Err(MachineError::Cancelled),
            Ok(report) => Ok(report.trouble.map(Caught::from)),
            Err(error) if error.is_killed() => Err(error),
            Err(_) => Ok(Some(Caught { rule: END.to_owned(), operations: 0 })),
        }
    }

    fn fuzzed(&self, fault: Option<Fault>) -> Result<Option<Caught>, Failure> {
        if self.fuzz_ops == 0 {
            return Ok(None);
        }
        let plan = fuzz::Plan {
            seed: self.seed,
            ops: self.fuzz_ops,
            time: None,
            jobs: 1,
            shard: Shard { index: 0, count: 1 },
            fault,
            corpus: None,
        };
        let report = plan.run(self.covered, self.cancel, &fuzz::Progress::default())?;
        if report.interrupted {
            Err(MachineError::Cancelled.into())
        } else {
            Ok(report.trouble.map(Caught::from))
        }
    }
}

impl From<Trouble> for Caught {
    fn from(trouble: Trouble) -> Self {
        let rule = trouble.findings.first().map(|finding| finding.rule.to_string());
        Self { rule: rule.unwrap_or_else(|| END.to_owned()), operations: trouble.at }
    }
}

/// What a machine that stops is called.
const END: &str = "the machine came to its end";

#[cfg(test)]
mod tests {
    use super::*;

    fn caught(rule: &str, operations: u64) -> Caught {
        Caught { rule: rule.to_owned(), operations }
    }

    #[test]
    fn what_nobody_catches_is_missed() {
        let mut score = Score::default();
        assert!(!score.is_caught());
        score.trace = vec![caught("sync/extra", 2), caught("spec/reach", 3)];
        assert!(score.is_caught());
        assert_eq!(score.spec(), Some(&caught("spec/reach", 3)));
        assert!(Score { attack: Some(caught(END, 7)), ..Score::default() }.is_caught());
    }
}
