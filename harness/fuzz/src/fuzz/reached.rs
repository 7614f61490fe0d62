//! What a run has reached: code of the hypervisor, and abstract states.

use std::collections::BTreeSet;

use parallax_machine::coverage::Executed;

/// Instructions that ran, and states of groups of pages that came up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reached {
    code: Vec<u8>,
    states: BTreeSet<u64>,
}

impl Reached {
    /// Adds what ran and what came up. Whether any of it is new.
    pub(super) fn add(&mut self, executed: Option<&Executed>, states: &BTreeSet<u64>) -> bool {
        let code = executed.is_some_and(|executed| self.add_code(executed.bits()));
        let before = self.states.len();
        self.states.extend(states);
        code || self.states.len() != before
    }

    /// Adds what `other` has. Whether any of it is new.
    pub(super) fn merge(&mut self, other: &Self) -> bool {
        let code = self.add_code(&other.code);
        let before = self.states.len();
        self.states.extend(&other.states);
        code || self.states.len() != before
    }

    fn add_code(&mut self, bits: &[u8]) -> bool {
        if self.code.len() < bits.len() {
            self.code.resize(bits.len(), 0);
        }
        let mut new = false;
        for (mine, theirs) in self.code.iter_mut().zip(bits) {
            new |= theirs & !*mine != 0;
            *mine |= theirs;
        }
        new
    }

    /// How many instructions.
    pub(super) fn instructions(&self) -> u64 {
        self.code.iter().map(|byte| u64::from(byte.count_ones())).sum()
    }

    /// How many states.
    pub(super) fn states(&self) -> u64 {
        self.states.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_not_there_is_new() {
        let mut known = Reached::default();
        let of = |code: &[u8], states: &[u64]| Reached {
            code: code.to_vec(),
            states: states.iter().copied().collect(),
        };
        assert!(known.merge(&of(&[1, 2], &[7])));
        assert!(!known.merge(&of(&[1], &[7])));
        assert!(known.merge(&of(&[0, 2, 4], &[])));
        assert!(known.merge(&of(&[], &[8])));
        assert_eq!((known.instructions(), known.states()), (3, 2));
    }
}
