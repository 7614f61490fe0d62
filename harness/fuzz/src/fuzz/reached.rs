//! What a run has reached: instructions of the hypervisor, branches that it took, and abstract states.

use std::collections::BTreeSet;

use parallax_machine::coverage::Executed;

/// Instructions that ran, branches that were taken, and states of groups of pages that came up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reached {
    code: Bits,
    branches: Bits,
    states: BTreeSet<u64>,
}

impl Reached {
    /// Adds what ran and what came up. Whether any of it is new.
    pub(super) fn add(&mut self, executed: Option<&Executed>, states: &BTreeSet<u64>) -> bool {
        let code = executed.is_some_and(|executed| {
            let code = self.code.add(executed.bits());
            self.branches.add(executed.branches()) || code
        });
        let before = self.states.len();
        self.states.extend(states);
        code || self.states.len() != before
    }

    /// Adds what `other` has. Whether any of it is new.
    pub(super) fn merge(&mut self, other: &Self) -> bool {
        let code = self.code.add(&other.code.0);
        let branches = self.branches.add(&other.branches.0);
        let before = self.states.len();
        self.states.extend(&other.states);
        code || branches || self.states.len() != before
    }

    /// How many instructions.
    pub(super) fn instructions(&self) -> u64 {
        self.code.count()
    }

    /// How many branches; two that share a bit count once.
    pub(super) fn branches(&self) -> u64 {
        self.branches.count()
    }

    /// How many states.
    pub(super) fn states(&self) -> u64 {
        self.states.len() as u64
    }
}

/// A set of numbers, a bit each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Bits(Vec<u8>);

impl Bits {
    /// Adds `bits`. Whether any is new.
    fn add(&mut self, bits: &[u8]) -> bool {
        if self.0.len() < bits.len() {
            self.0.resize(bits.len(), 0);
        }
        let mut new = false;
        for (mine, theirs) in self.0.iter_mut().zip(bits) {
            new |= theirs & !*mine != 0;
            *mine |= theirs;
        }
        new
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|byte| u64::from(byte.count_ones())).sum()
    }
}

#[cfg(test)]
mod tests {
    use parallax_addr::HypVa;

    use super::*;

    #[test]
    fn only_what_was_not_there_is_new() {
        let mut known = Reached::default();
        let of = |code: &[u8], states: &[u64]| Reached {
            code: Bits(code.to_vec()),
            branches: Bits::default(),
            states: states.iter().copied().collect(),
        };
        assert!(known.merge(&of(&[1, 2], &[7])));
        assert!(!known.merge(&of(&[1], &[7])));
        assert!(known.merge(&of(&[0, 2, 4], &[])));
        assert!(known.merge(&of(&[], &[8])));
        assert_eq!((known.instructions(), known.states()), (3, 2));
        let executed = |branch| Executed::new(HypVa::new(0), vec![1], vec![branch]);
        let mut ran = Reached::default();
        assert!(ran.add(Some(&executed(1)), &BTreeSet::new()));
        assert!(!ran.add(Some(&executed(1)), &BTreeSet::new()));
        assert!(ran.add(Some(&executed(2)), &BTreeSet::new()), "another way between the same instructions");
        let branch = Reached { branches: Bits(vec![0, 8]), ..Reached::default() };
        assert!(known.merge(&branch) && !known.merge(&branch));
        assert_eq!((known.instructions(), known.branches()), (3, 1));
    }
}
