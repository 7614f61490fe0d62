//! How often each kind was done, and how operations ended.

use std::collections::BTreeMap;

use parallax_ops::Outcome;

use super::generator::Step;
use super::kind::Kind;

/// Ways to end, as columns of a table have them.
pub(super) const ENDS: [&str; 9] =
    ["ok", "EPERM", "EINVAL", "EBUSY", "ENOMEM", "ENOENT", "NOT_SUPPORTED", "abort", "other"];

/// Counts of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    kinds: BTreeMap<Kind, u64>,
    ends: BTreeMap<(&'static str, usize), u64>,
    ops: u64,
}

impl Counts {
    /// Counts `step`, before it is known how it ends.
    pub(super) fn chosen(&mut self, step: &Step) {
        for kind in std::iter::once(step.kind).chain(step.place) {
            *self.kinds.entry(kind).or_default() += 1;
        }
    }

    /// Counts `step`, which ended with `outcome`.
    pub(super) fn count(&mut self, step: &Step, outcome: &Outcome) {
        self.chosen(step);
        let name = outcome.clone().without_value().to_string();
        let end = ENDS.iter().position(|end| *end == name).unwrap_or(ENDS.len() - 1);
        *self.ends.entry((step.op.row.name, end)).or_default() += 1;
        self.ops += 1;
    }

    /// Adds those of another machine.
    pub(super) fn add(&mut self, other: &Self) {
        other.kinds.iter().for_each(|(kind, count)| *self.kinds.entry(*kind).or_default() += count);
        other.ends.iter().for_each(|(key, count)| *self.ends.entry(*key).or_default() += count);
        self.ops += other.ops;
    }

    /// How many operations there were.
    #[must_use]
    pub const fn ops(&self) -> u64 {
        self.ops
    }

    /// How often `kind` was done.
    #[must_use]
    pub fn of(&self, kind: Kind) -> u64 {
        self.kinds.get(&kind).copied().unwrap_or(0)
    }

    /// The operations by name, each with how often it ended in each of [`ENDS`].
    pub(super) fn rows(&self) -> Vec<(&'static str, [u64; ENDS.len()])> {
        let mut rows: Vec<(&'static str, [u64; ENDS.len()])> = Vec::new();
        for ((name, end), count) in &self.ends {
            match rows.last_mut().filter(|(last, _)| last == name) {
                Some((_, counts)) => counts[*end] += count,
                None => {
                    let mut counts = [0; ENDS.len()];
                    counts[*end] = *count;
                    rows.push((name, counts));
                }
            }
        }
        rows
    }
}
