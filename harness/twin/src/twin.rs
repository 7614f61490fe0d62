//! A machine under its judges.

use parallax_abi::info::HypInfo;
use parallax_model::{CaptureCache, Checks, Context, Finding, Snapshot};
use parallax_ops::{Operation, Outcome};
use parallax_spec::{Around, Judge};

use crate::machine::Machine;

/// A machine and its judges.
pub struct Twin {
    machine: Machine,
    info: HypInfo,
    context: Context,
    cache: CaptureCache,
    checks: Checks,
    judge: Judge,
    now: Snapshot,
    /// What was wrong at boot.
    at_boot: Vec<Finding>,
}

/// What an operation did.
#[derive(Debug)]
pub struct Step {
    /// How it ended.
    pub outcome: Outcome,
    /// What is wrong with it or with what it left.
    pub wrong: Vec<String>,
}

impl Twin {
    pub(crate) fn new(machine: Machine, info: HypInfo, context: Context) -> Self {
        machine.put_accounts(info.pools_pa);
        let (mut cache, mut checks) = (CaptureCache::default(), Checks::default());
        let now = machine.look(&mut cache, &info);
        let at_boot = checks.check(None, &now, &context);
        Self { machine, info, context, cache, checks, judge: Judge::default(), now, at_boot }
    }

    /// What is wrong with the state after boot.
    #[must_use]
    pub fn at_boot(&self) -> &[Finding] {
        &self.at_boot
    }

    /// The state now.
    #[must_use]
    pub const fn snapshot(&self) -> &Snapshot {
        &self.now
    }

    /// The machine, for a CPU of its own.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.machine.clone()
    }

    /// Performs `operation`, and judges it.
    pub fn perform(&mut self, operation: &Operation) -> Step {
        self.begin();
        let outcome = self.machine.perform(operation);
        let (mut wrong, after) = self.look();
        let around = Around {
            before: &self.now,
            after: &after,
            context: &self.context,
            memory: self.machine.memory(),
        };
        let found = self.judge.judge(around, std::iter::once((operation, &outcome)));
        wrong.extend(found.iter().map(ToString::to_string));
        self.now = after;
        Step { outcome, wrong }
    }

    /// What comes next is looked at as a whole.
    pub fn begin(&self) {
        self.machine.begin();
    }

    /// What is wrong after `performed`, operations at the same time and how each ended: every one of them must have happened at one
    /// moment, so that some order of them is right.
    pub fn end(&mut self, performed: &[(Operation, Outcome)]) -> Vec<String> {
        let (mut wrong, after) = self.look();
        let around = Around {
            before: &self.now,
            after: &after,
            context: &self.context,
            memory: self.machine.memory(),
        };
        let mut first = None;
        let orders = orders(performed.len()).into_iter().find_map(|order| {
            let mut judge = self.judge.clone();
            let ordered =
                order.iter().map(|index| &performed[*index]).map(|(operation, outcome)| (operation, outcome));
            let found = judge.judge(around, ordered);
            if found.is_empty() {
                return Some(judge);
            }
            first.get_or_insert(found);
            None
        });
        match orders {
            Some(judge) => self.judge = judge,
            None => {
                wrong.extend(first.iter().flatten().map(|finding| format!("in no order right: {finding}")))
            }
        }
        self.now = after;
        wrong
    }

    /// The state, and what is wrong with it whatever led there.
    fn look(&mut self) -> (Vec<String>, Snapshot) {
        self.machine.put_accounts(self.info.pools_pa);
        let after = self.machine.look(&mut self.cache, &self.info);
        let found = self.checks.check(Some(&self.now), &after, &self.context);
        let mut wrong: Vec<String> = found.iter().map(ToString::to_string).collect();
        wrong.extend(self.machine.stale(&after));
        (wrong, after)
    }
}

/// All orders of so many.
fn orders(count: usize) -> Vec<Vec<usize>> {
    (0..count).fold(vec![Vec::new()], |orders, next| {
        let with = |order: &Vec<usize>, at: usize| {
            let mut order = order.clone();
            order.insert(at, next);
            order
        };
        orders.iter().flat_map(|order| (0..=order.len()).map(move |at| with(order, at))).collect()
    })
}
