//! A range of addresses: half open, in bytes, in the address space that its type names.

use serde::{Deserialize, Serialize};

use crate::{PAGE_SIZE, Point};

/// `base..base + size`. An empty span contains nothing and overlaps nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span<A = u64> {
    /// First address.
    pub base: A,
    /// Length in bytes.
    pub size: u64,
}

impl<A> Span<A> {
    /// The span of `size` bytes at `base`.
    #[must_use]
    pub const fn new(base: A, size: u64) -> Self {
        Self { base, size }
    }

    /// Whether it holds no address.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.size == 0
    }
}

impl<A: Point> Span<A> {
    /// The span `base..end`; empty when `end` is not above `base`.
    #[must_use]
    pub fn between(base: A, end: A) -> Self {
        Self { base, size: end.number().saturating_sub(base.number()) }
    }

    /// The first address behind it (saturating: no address space of 64 bits is full).
    #[must_use]
    pub fn end(self) -> A {
        A::at(self.base.number().saturating_add(self.size))
    }

    /// Whether `address` lies inside.
    #[must_use]
    pub fn contains(self, address: A) -> bool {
        address.number().checked_sub(self.base.number()).is_some_and(|offset| offset < self.size)
    }

    /// The part that both have, if any.
    #[must_use]
    pub fn intersect(self, other: Self) -> Option<Self> {
        let part = Self::between(self.base.max(other.base), self.end().min(other.end()));
        (!part.is_empty()).then_some(part)
    }

    /// The whole pages that it touches; none for an empty one. The last page of 64 bits ends at the last address.
    #[must_use]
    pub fn whole_pages(self) -> Option<Self> {
        let end = self.end().number().checked_next_multiple_of(PAGE_SIZE).unwrap_or(u64::MAX);
        let base = self.base.number() & !(PAGE_SIZE - 1);
        (!self.is_empty()).then(|| Self::between(A::at(base), A::at(end)))
    }

    /// Its pages' first addresses, in order; it must be of whole pages.
    pub fn pages(self) -> impl Iterator<Item = A> {
        (self.base.number()..self.end().number()).step_by(PAGE_SIZE as usize).map(A::at)
    }

    /// Whether both have an address in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.intersect(other).is_some()
    }

    /// The same numbers in address space `B`, for who knows that one is mapped to itself in the other.
    #[must_use]
    pub fn cast<B: Point>(self) -> Span<B> {
        Span::new(B::at(self.base.number()), self.size)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_pages_hold_what_is_touched() {
        assert_eq!(Span::new(0x1ff8, 16).whole_pages(), Some(Span::between(0x1000, 0x3000)));
        assert_eq!(Span::new(0x1000, 0).whole_pages(), None);
        assert_eq!(Span::new(u64::MAX - 1, 8).whole_pages(), Some(Span::between(!0xfff_u64, u64::MAX)));
    }

    proptest! {
        #[test]
        fn an_intersection_is_inside_of_both(a in any::<(u64, u64)>(), b in any::<(u64, u64)>()) {
            let (a, b) = (Span::new(a.0, a.1), Span::new(b.0, b.1));
            prop_assert_eq!(a.intersect(b), b.intersect(a));
            if let Some(part) = a.intersect(b) {
                prop_assert!(a.contains(part.base) && b.contains(part.base));
                prop_assert!(part.end() <= a.end() && part.end() <= b.end());
            }
        }
    }
}
