//! A list of runs that snapshots share for as long as it stays the same.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::run::Run;

/// Runs, see [`crate::run`]. A copy costs nothing, and neither does finding out that it is the same as what it was copied
/// from.
pub struct Runs<A, T>(Arc<Vec<Run<A, T>>>);

impl<A, T> Runs<A, T> {
    /// Whether both are one list: they are equal, and nobody had to look.
    #[must_use]
    pub fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<A: Clone, T: Clone> Runs<A, T> {
    /// The runs, for a change that no other copy sees.
    pub fn make_mut(&mut self) -> &mut Vec<Run<A, T>> {
        Arc::make_mut(&mut self.0)
    }
}

impl<A: PartialEq, T: PartialEq> Runs<A, T> {
    /// Takes over `new`. What is equal stays shared.
    pub fn update(&mut self, new: Vec<Run<A, T>>) {
        if *self.0 != new {
            self.0 = Arc::new(new);
        }
    }
}

impl<A, T> Deref for Runs<A, T> {
    type Target = [Run<A, T>];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<'a, A, T> IntoIterator for &'a Runs<A, T> {
    type Item = &'a Run<A, T>;
    type IntoIter = std::slice::Iter<'a, Run<A, T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<A, T> From<Vec<Run<A, T>>> for Runs<A, T> {
    fn from(runs: Vec<Run<A, T>>) -> Self {
        Self(Arc::new(runs))
    }
}

impl<A, T> FromIterator<Run<A, T>> for Runs<A, T> {
    fn from_iter<I: IntoIterator<Item = Run<A, T>>>(runs: I) -> Self {
        runs.into_iter().collect::<Vec<_>>().into()
    }
}

impl<A, T> Default for Runs<A, T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<A, T> Clone for Runs<A, T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: PartialEq, T: PartialEq> PartialEq for Runs<A, T> {
    fn eq(&self, other: &Self) -> bool {
        self.is_shared_with(other) || self.0 == other.0
    }
}

impl<A: Eq, T: Eq> Eq for Runs<A, T> {}

impl<A: fmt::Debug, T: fmt::Debug> fmt::Debug for Runs<A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<A: Serialize, T: Serialize> Serialize for Runs<A, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, A: Deserialize<'de>, T: Deserialize<'de>> Deserialize<'de> for Runs<A, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(value: u8) -> Vec<Run<u64, u8>> {
        vec![Run { base: 0, size: 1, value }]
    }

    #[test]
    fn a_copy_is_shared_until_one_changes() {
        let first = Runs::from(runs(1));
        let mut copy = first.clone();
        assert!(copy.is_shared_with(&first) && copy == first);
        copy.make_mut()[0].value = 2;
        assert!(!copy.is_shared_with(&first) && copy != first && first[0].value == 1);
    }

    #[test]
    fn an_update_with_the_same_stays_shared() {
        let first = Runs::from(runs(1));
        let mut copy = first.clone();
        copy.update(runs(1));
        assert!(copy.is_shared_with(&first));
        copy.update(runs(2));
        assert!(copy[0].value == 2 && first[0].value == 1);
    }
}
