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
    /// One switch (iterative context bounding: Musuvathi and Qadeer, PLDI 2007): one CPU goes on for some points, then the other one to its
    /// end, then the first one to its own. While the other one waits for a lock, the first one goes on.
    Bounded {
        first: CpuId,
        /// How many points it has yet to go on.
        points: u64,
    },
}

impl Scheduler {
    /// Scheduler number `number` of those that `seed` draws: in turn one of each kind that is drawn.
    pub(super) fn drawn(seed: u64, number: u64) -> Self {
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
            Self::Bounded { first, points } => {
                let stays = *points != 0 && able.contains(first);
                *points -= u64::from(stays);
                let other = || able.iter().copied().find(|cpu| cpu != first);
                if stays { *first } else { other().unwrap_or(*first) }
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
            let mut scheduler = Scheduler::drawn(3, number);
            let turns: Vec<CpuId> = (0..50).map(|_| scheduler.choose(&cpus)).collect();
            let switches = turns.windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert!(switches <= CHANGES, "{turns:?}");
        }
    }

    #[test]
    fn one_switch_comes_after_its_points() {
        let cpus = [CpuId::new(0), CpuId::new(1)];
        for first in [0, 1] {
            let mut scheduler = Scheduler::Bounded { first: cpus[first], points: 3 };
            let turns: Vec<CpuId> = (0..8).map(|_| scheduler.choose(&cpus)).collect();
            let (first, other) = (cpus[first], cpus[1 - first]);
            assert_eq!(turns, [[first; 3].as_slice(), &[other; 5]].concat());
            // Where the other one waits for a lock, the first one goes on.
            assert_eq!(scheduler.choose(&[first]), first);
            assert_eq!(scheduler.choose(&cpus), other);
        }
    }
}
