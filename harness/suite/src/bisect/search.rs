//! The search itself: a row of revisions, of which the one before the first is good and the last one is bad.

/// What became of one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// In order.
    Good,
    /// Not in order.
    Bad,
    /// It cannot be told, and why.
    Skip(String),
}

/// What is left: the first bad revision is one of `first..=last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Narrowed {
    /// The earliest that can be it.
    pub first: usize,
    /// The earliest that is known to be bad.
    pub last: usize,
}

/// Finds the first bad one of `count` revisions, of which the last one is known to be bad. `same(i)` tells that
/// revision `i` cannot differ from the one before it; such a one is never asked for. Without skips `judge` is asked
/// at most `ceil(log2(count))` times.
///
/// # Errors
/// Those of `judge`.
pub fn search<E>(
    count: usize,
    same: impl Fn(usize) -> bool,
    mut judge: impl FnMut(usize) -> Result<Verdict, E>,
) -> Result<Narrowed, E> {
    // Only where something changed can be the first bad one; each stands for those behind it.
    let heads: Vec<usize> = (0..count).filter(|index| !same(*index)).collect();
    let mut skipped = vec![false; heads.len()];
    let (mut low, mut high) = (0, heads.len().saturating_sub(1));
    // All before `low` are good (or skipped and before a good one), `high` is bad.
    while let Some(index) = middle(low, high, &skipped) {
        match judge(heads[index])? {
            Verdict::Good => low = index + 1,
            Verdict::Bad => high = index,
            Verdict::Skip(_) => skipped[index] = true,
        }
    }
    let at = |index: usize| heads.get(index).copied().unwrap_or_default();
    Ok(Narrowed { first: at(low), last: at(high) })
}

/// The one to ask for next of `low..high`: nearest to its middle, and not skipped.
fn middle(low: usize, high: usize, skipped: &[bool]) -> Option<usize> {
    let middle = low + (high - low) / 2;
    (low..high).filter(|index| !skipped[*index]).min_by_key(|index| index.abs_diff(middle))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches among `count` for `bad`, and gives what is left and what was asked for.
    fn run(count: usize, bad: usize, skip: &[usize], same: &[usize]) -> (Narrowed, Vec<usize>) {
        let mut asked = Vec::new();
        let found = search(
            count,
            |index| same.contains(&index),
            |index| {
                asked.push(index);
                Ok::<_, ()>(match () {
                    () if skip.contains(&index) => Verdict::Skip("does not build".to_owned()),
                    () if index >= bad => Verdict::Bad,
                    () => Verdict::Good,
                })
            },
        );
        (found.unwrap(), asked)
    }

    #[test]
    fn each_of_64_commits_is_found_with_at_most_six_builds_beyond_the_two_ends() {
        for bad in 0..64 {
            let (found, asked) = run(64, bad, &[], &[]);
            assert_eq!(found, Narrowed { first: bad, last: bad });
            assert!(asked.len() <= 6, "{bad}: {asked:?}");
        }
    }

    #[test]
    fn nothing_is_asked_for_twice_and_the_bad_end_never() {
        for count in 1..20 {
            for bad in 0..count {
                let (found, mut asked) = run(count, bad, &[], &[]);
                assert_eq!(found.first, bad);
                assert!(!asked.contains(&(count - 1)));
                let all = asked.len();
                asked.sort_unstable();
                asked.dedup();
                assert_eq!(asked.len(), all);
            }
        }
    }

    #[test]
    fn what_does_not_change_the_hypervisor_is_not_asked_for() {
        // Only 3, 9 and 14 of 16 change it.
        let same: Vec<usize> = (0..16).filter(|index| ![3, 9, 14].contains(index)).collect();
        let (found, asked) = run(16, 9, &[], &same);
        assert_eq!(found, Narrowed { first: 9, last: 9 });
        assert!(asked.iter().all(|index| [3, 9].contains(index)), "{asked:?}");
    }

    #[test]
    fn around_a_skipped_one_the_search_goes_on() {
        let (found, asked) = run(10, 7, &[4], &[]);
        assert_eq!(found, Narrowed { first: 7, last: 7 });
        assert_eq!(asked.iter().filter(|index| **index == 4).count(), 1);
    }

    #[test]
    fn skipped_ones_right_before_the_first_bad_one_stay_suspects() {
        let (found, _) = run(10, 7, &[5, 6], &[]);
        assert_eq!(found, Narrowed { first: 5, last: 7 });
    }
}
