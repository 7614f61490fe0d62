//! Maximal runs: `base..base + size -> value`, the one shape of every map in a snapshot.
//!
//! A list of runs is sorted, does not overlap, and is *maximal*: two runs that touch have different values. Maps are
//! therefore equal exactly when their lists are, and their length follows what differs, not how much is mapped.

use serde::{Deserialize, Serialize};

use parallax_addr::{Point, Span};

/// `size` addresses from `base` on that share `value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Run<A, T> {
    /// First address (or StreamID, in lists of streams).
    pub base: A,
    /// How many addresses, in bytes (or StreamIDs). Never 0.
    pub size: u64,
    /// What holds for all of them.
    pub value: T,
}

impl<A: Point, T> Run<A, T> {
    /// A run over `span`.
    pub fn new(span: Span<A>, value: T) -> Self {
        Self { base: span.base, size: span.size, value }
    }

    /// The addresses.
    pub fn span(&self) -> Span<A> {
        Span::new(self.base, self.size)
    }

    /// The first address behind it.
    pub fn end(&self) -> A {
        self.span().end()
    }
}

/// Appends a run, joining it with the last one if they touch and agree. Runs must come in ascending order; an empty
/// one is dropped.
pub fn push<A: Point, T: PartialEq>(runs: &mut Vec<Run<A, T>>, run: Run<A, T>) {
    if run.size == 0 {
        return;
    }
    match runs.last_mut() {
        Some(last) if last.end() == run.base && last.value == run.value => last.size += run.size,
        _ => runs.push(run),
    }
}

/// Puts `new` in the place of what `runs` says of `span`; `new` is sorted, maximal and inside of `span`.
pub fn replace<A: Point, T: Clone + PartialEq>(runs: &mut Vec<Run<A, T>>, span: Span<A>, new: &[Run<A, T>]) {
    let first = runs.partition_point(|run| run.end() <= span.base);
    let behind = runs.partition_point(|run| run.base < span.end());
    // The neighbours may join with what comes between them.
    let (from, to) = (first.saturating_sub(1), (behind + 1).min(runs.len()));
    let before = Span::between(A::at(0), span.base);
    let after = Span::between(span.end(), A::at(u64::MAX));
    let mut middle = Vec::with_capacity(new.len() + 4);
    let part =
        |run: &Run<A, T>, of: Span<A>| run.span().intersect(of).map(|part| Run::new(part, run.value.clone()));
    runs[from..behind].iter().filter_map(|run| part(run, before)).for_each(|run| push(&mut middle, run));
    new.iter().for_each(|run| push(&mut middle, run.clone()));
    runs[first..to].iter().filter_map(|run| part(run, after)).for_each(|run| push(&mut middle, run));
    runs.splice(from..to, middle);
}

/// The same map with every value passed through `change`, maximal again.
pub fn map<A: Point, T, U: PartialEq>(
    runs: &[Run<A, T>],
    mut change: impl FnMut(&Run<A, T>) -> U,
) -> Vec<Run<A, U>> {
    let mut out = Vec::with_capacity(runs.len());
    for run in runs {
        push(&mut out, Run::new(run.span(), change(run)));
    }
    out
}

/// The value at `address`.
pub fn find<A: Point, T>(runs: &[Run<A, T>], address: A) -> Option<&Run<A, T>> {
    let after = runs.partition_point(|run| run.base <= address);
    runs[..after].last().filter(|run| run.span().contains(address))
}

/// The parts of the runs that lie inside `span`, in order.
pub fn within<A: Point, T>(runs: &[Run<A, T>], span: Span<A>) -> impl Iterator<Item = (Span<A>, &T)> {
    let first = runs.partition_point(|run| run.end() <= span.base);
    runs[first..].iter().map_while(move |run| run.span().intersect(span).map(|part| (part, &run.value)))
}

/// Cuts `span` wherever one of the two maps changes, and yields each piece with the value of both sides (`None`:
/// nothing is there). Pieces come in order and cover `span` without a gap.
pub fn overlay<'a, A: Point, T, U>(
    a: &'a [Run<A, T>],
    b: &'a [Run<A, U>],
    span: Span<A>,
) -> Overlay<'a, A, T, U> {
    Overlay {
        a: &a[a.partition_point(|run| run.end() <= span.base)..],
        b: &b[b.partition_point(|run| run.end() <= span.base)..],
        at: span.base,
        end: span.end(),
    }
}

/// Iterator of [`overlay`].
#[derive(Clone, Debug)]
pub struct Overlay<'a, A, T, U> {
    a: &'a [Run<A, T>],
    b: &'a [Run<A, U>],
    at: A,
    end: A,
}

/// The value that holds at `at`, and where that stops being so.
fn head<'a, A: Point, T>(runs: &mut &'a [Run<A, T>], at: A) -> (Option<&'a T>, A) {
    while let Some((first, rest)) = runs.split_first() {
        if first.end() > at {
            return if first.base <= at { (Some(&first.value), first.end()) } else { (None, first.base) };
        }
        *runs = rest;
    }
    (None, A::at(u64::MAX))
}

impl<'a, A: Point, T, U> Iterator for Overlay<'a, A, T, U> {
    type Item = (Span<A>, Option<&'a T>, Option<&'a U>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let (a, a_until) = head(&mut self.a, self.at);
        let (b, b_until) = head(&mut self.b, self.at);
        let span = Span::between(self.at, a_until.min(b_until).min(self.end));
        self.at = span.end();
        Some((span, a, b))
    }
}

/// Where two maps differ, in order: `before` and `after` say the same of everything else.
#[must_use]
pub fn differences<A: Point, T: PartialEq>(before: &[Run<A, T>], after: &[Run<A, T>]) -> Vec<Span<A>> {
    let (before, after) = differing_part(before, after);
    overlay(before, after, Span::between(A::at(0), A::at(u64::MAX)))
        .filter(|(_, old, new)| old != new)
        .map(|(span, ..)| span)
        .collect()
}

/// Two maps.
type Both<'a, A, T> = (&'a [Run<A, T>], &'a [Run<A, T>]);

/// The two maps without what is alike at both ends, which is most of it.
pub(crate) fn differing_part<'a, A: Point, T: PartialEq>(
    before: &'a [Run<A, T>],
    after: &'a [Run<A, T>],
) -> Both<'a, A, T> {
    if std::ptr::eq(before, after) {
        return (&[], &[]);
    }
    let same = before.iter().zip(after).take_while(|(old, new)| old == new).count();
    let (before, after) = (&before[same..], &after[same..]);
    let same = before.iter().rev().zip(after.iter().rev()).take_while(|(old, new)| old == new).count();
    (&before[..before.len() - same], &after[..after.len() - same])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn runs(cells: &[Option<u8>]) -> Vec<Run<u64, u8>> {
        let mut out = Vec::new();
        for (at, cell) in cells.iter().enumerate() {
            if let Some(value) = *cell {
                push(&mut out, Run { base: at as u64, size: 1, value });
            }
        }
        out
    }

    proptest! {
        #[test]
        fn pushed_runs_are_maximal_and_say_what_was_pushed(cells in prop::collection::vec(prop::option::of(0..3_u8), 0..40)) {
            let runs = runs(&cells);
            for pair in runs.windows(2) {
                prop_assert!(pair[0].end() < pair[1].base || pair[0].value != pair[1].value);
            }
            for (at, cell) in cells.iter().enumerate() {
                prop_assert_eq!(find(&runs, at as u64).map(|run| run.value), *cell);
            }
        }

        #[test]
        fn what_is_replaced_is_as_if_it_had_always_been_so(
            old in prop::collection::vec(prop::option::of(0..3_u8), 24),
            new in prop::collection::vec(prop::option::of(0..3_u8), 24),
            (from, to) in (0..24_usize, 0..=24_usize),
        ) {
            let to = to.max(from);
            let mut cells = old.clone();
            cells[from..to].copy_from_slice(&new[from..to]);
            let mut only = vec![None; 24];
            only[from..to].copy_from_slice(&new[from..to]);
            let mut replaced = runs(&old);
            replace(&mut replaced, Span::between(from as u64, to as u64), &runs(&only));
            prop_assert_eq!(replaced, runs(&cells));
        }

        #[test]
        fn overlay_covers_every_address_once_with_both_values(
            a in prop::collection::vec(prop::option::of(0..3_u8), 24),
            b in prop::collection::vec(prop::option::of(0..3_u8), 24),
            from in 0..24_u64,
        ) {
            let (left, right) = (runs(&a), runs(&b));
            let mut at = from;
            for (span, x, y) in overlay(&left, &right, Span::between(from, 30)) {
                prop_assert_eq!(span.base, at);
                for address in span.base..span.end() {
                    let cell = |cells: &[Option<u8>]| cells.get(address as usize).copied().flatten();
                    prop_assert_eq!(x.copied(), cell(&a));
                    prop_assert_eq!(y.copied(), cell(&b));
                }
                at = span.end();
            }
            prop_assert_eq!(at, 30);
        }
    }

    #[test]
    fn within_cuts_runs_at_the_borders() {
        let runs = runs(&[Some(1), Some(1), None, Some(2), Some(2)]);
        let parts: Vec<_> =
            within(&runs, Span::between(1, 4)).map(|(span, value)| (span.base, span.size, *value)).collect();
        assert_eq!(parts, [(1, 1, 1), (3, 1, 2)]);
    }
}
