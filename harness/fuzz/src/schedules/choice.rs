//! Who goes on.

use std::collections::BTreeMap;

use parallax_ops::CpuId;

use crate::random::Random;

/// Changes of priority that PCT puts in (Burckhardt et al., ASPLOS 2010: a bug of depth d is found with d - 1 of them).
const CHANGES: usize = 2;
/// The shortest length of an operation that it goes by, in choices, and how often that doubles: a call has about 16, and turning an SMMU on
/// has hundreds. A change comes somewhere in the length.
const SHORTEST: u64 = 8;
const DOUBLINGS: u64 = 6;

/// A scheduler.
pub(super) enum Scheduler {
    /// Any CPU, each time.
    Random(Random),
    /// The CPU with the highest priority; at a few moments that one gets the lowest.
    Pct {
        /// By CPU; the higher one goes on. Those that were lowered are below 0.
        priorities: BTreeMap<CpuId, i64>,
        /// Numbers of the choices at which the priority changes.
        changes: Vec<u64>,
        random: Random,
        choices: u64,
    },
}

impl Scheduler {
    /// Scheduler number `number` of `seed`; half of them are of each kind.
    pub(super) fn new(seed: u64, number: u64) -> Self {
        let mut random = Random::new(seed, number);
        if number.is_multiple_of(2) {
            return Self::Random(random);
        }
        let length = SHORTEST << random.below(DOUBLINGS);
        let changes = (0..CHANGES).map(|_| random.below(length)).collect();
        Self::Pct { priorities: BTreeMap::new(), changes, random, choices: 0 }
    }

    /// One of `able`.
    pub(super) fn choose(&mut self, able: &[CpuId]) -> CpuId {
        match self {
            Self::Random(random) => random.pick(able),
            Self::Pct { priorities, changes, random, choices } => {
                for cpu in able {
                    priorities.entry(*cpu).or_insert_with(|| (random.any() >> 2) as i64);
                }
                let highest = |priorities: &BTreeMap<CpuId, i64>| {
                    able.iter().copied().max_by_key(|cpu| priorities.get(cpu)).unwrap_or_default()
                };
                if changes.contains(choices) {
                    priorities.insert(highest(priorities), -1 - *choices as i64);
                }
                *choices += 1;
                highest(priorities)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_changes_make_long_turns() {
        let cpus = [CpuId::new(0), CpuId::new(1)];
        for number in (1..40).step_by(2) {
            let mut scheduler = Scheduler::new(3, number);
            let turns: Vec<CpuId> = (0..50).map(|_| scheduler.choose(&cpus)).collect();
            let switches = turns.windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert!(switches <= CHANGES, "{turns:?}");
        }
    }
}
