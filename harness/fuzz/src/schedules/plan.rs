//! What a schedule is tried on, and who goes on in it, by its number.
//!
//! Every other schedule has a single switch: all of those are known, and come one after the other. The schedules between them are drawn,
//! and so are all behind the last one with a single switch.

use parallax_ops::CpuId;

use super::choice::Scheduler;
use super::situations::{Kind, Situation};

/// What pairs of drawn schedules are on, in turn.
const TURNS: [Kind; 6] =
    [Kind::Contested, Kind::Held, Kind::Any, Kind::Contested, Kind::HeldTwice, Kind::Driver];
/// What schedules with a single switch are on, in turn, as long as a kind has some that have not come.
const SWITCHED: [Kind; 3] = [Kind::Contested, Kind::HeldTwice, Kind::Held];
/// How many points the first CPU goes on before the other one does. A place between two of them mostly does the same as the one before: a
/// lock is held over many points, and the other CPU waits for it, and goes on once it is given back.
const PLACES: [u64; 9] = [1, 2, 3, 4, 5, 6, 8, 11, 16];
/// Schedules with a single switch of one situation: each of the two CPUs goes on first.
const WAYS: u64 = 2 * PLACES.len() as u64;

/// The order of all schedules of a seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan<'a> {
    pub(super) seed: u64,
    pub(super) situations: &'a [Situation],
}

impl<'a> Plan<'a> {
    /// What schedule number `number` is tried on, and who goes on.
    pub(super) fn schedule(self, number: u64) -> (&'a Situation, Scheduler) {
        let switched = SWITCHED.map(|kind| self.of(kind).len() as u64 * WAYS).iter().sum();
        if number.is_multiple_of(2) && number / 2 < switched {
            return self.with_one_switch(number / 2);
        }
        let drawn = number - number.div_ceil(2).min(switched);
        (self.drawn_on(drawn), Scheduler::drawn(self.seed, drawn))
    }

    fn of(self, kind: Kind) -> Vec<&'a Situation> {
        self.situations.iter().filter(|situation| situation.kind == kind).collect()
    }

    /// Schedule number `number` of those with a single switch. Of a kind each situation comes once in one way before any comes in another
    /// one, and each in each way before any comes again.
    fn with_one_switch(self, number: u64) -> (&'a Situation, Scheduler) {
        let kinds = SWITCHED.map(|kind| self.of(kind));
        let left = |round: u64| kinds.iter().filter(move |some| round < some.len() as u64 * WAYS);
        let mut rounds = (0..).flat_map(|round| left(round).map(move |some| (round, some)));
        let (round, some) = rounds.nth(number as usize).expect("one that is left");
        let count = some.len() as u64;
        let index = nth(self.seed, round, count);
        // Neighbours are much alike: they have their ways in different orders.
        let way = nth(self.seed.wrapping_add(index), round / count, WAYS);
        let (first, points) = (CpuId::new(way % 2), PLACES[(way / 2) as usize]);
        (some[index as usize], Scheduler::Bounded { first, points })
    }

    /// What drawn schedule number `number` is tried on: each kind has its turns ([`TURNS`]). The seed decides where a kind begins; of a
    /// kind each comes once before any comes again.
    fn drawn_on(self, number: u64) -> &'a Situation {
        let turns: Vec<Kind> = TURNS.into_iter().filter(|kind| !self.of(*kind).is_empty()).collect();
        // Two drawn schedules on end are of one situation: each is drawn in a way of its own.
        let (turn, at) = ((number / 2) as usize / turns.len(), (number / 2) as usize % turns.len());
        let kind = turns[at];
        let often = |turns: &[Kind]| turns.iter().filter(|turn| **turn == kind).count();
        let before = (turn * often(&turns) + often(&turns[..at])) as u64;
        let some = self.of(kind);
        some[nth(self.seed, before, some.len() as u64) as usize]
    }
}

/// Number `number` of an order of 0 to `count - 1` in which each comes once before any comes again; `seed` decides where it begins.
fn nth(seed: u64, number: u64, count: u64) -> u64 {
    // A step that has no divisor in common with the count visits all.
    let step = (1..).map(|more| count / 3 + more).find(|step| gcd(*step, count) == 1).unwrap_or(1);
    (seed % count + number % count * (step % count)) % count
}

const fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::situations::situations;
    use super::*;

    const SEEDS: [u64; 3] = [0, 7, u64::MAX];

    /// The switch of a schedule that has a single one.
    fn switch(scheduler: &Scheduler) -> Option<(u64, u64)> {
        match scheduler {
            Scheduler::Bounded { first, points } => Some((first.get(), *points)),
            _ => None,
        }
    }

    #[test]
    fn each_situation_is_drawn_before_any_of_its_kind_is_drawn_again() {
        let situations = situations();
        for seed in SEEDS {
            let plan = Plan { seed, situations: &situations };
            for kind in TURNS {
                let count = situations.iter().filter(|situation| situation.kind == kind).count();
                let of_kind = (0..).step_by(2).map(|number| plan.drawn_on(number));
                let names: BTreeSet<String> = of_kind
                    .filter(|situation| situation.kind == kind)
                    .take(count)
                    .map(|situation| situation.trace("", ""))
                    .collect();
                assert_eq!(names.len(), count);
            }
        }
    }

    #[test]
    fn each_situation_comes_with_each_switch_before_any_comes_again() {
        let situations = situations();
        for seed in SEEDS {
            let plan = Plan { seed, situations: &situations };
            let counts = SWITCHED.map(|kind| plan.of(kind).len());
            assert_eq!(counts, [33, 27, 125]);
            let all = 185 * WAYS;
            let mut come = BTreeSet::new();
            for number in 0..2 * all {
                let (situation, scheduler) = plan.schedule(number);
                assert_eq!(switch(&scheduler).is_some(), number.is_multiple_of(2));
                come.extend(switch(&scheduler).map(|switch| (situation.trace("", ""), switch)));
            }
            assert_eq!(come.len() as u64, all);
            assert!((0..20).all(|number| switch(&plan.schedule(2 * all + number).1).is_none()));
        }
    }

    #[test]
    fn each_situation_comes_with_one_switch_before_any_of_its_kind_comes_with_another() {
        let situations = situations();
        for seed in SEEDS {
            let plan = Plan { seed, situations: &situations };
            for kind in SWITCHED {
                let count = plan.of(kind).len();
                let some = (0..).map(|number| plan.with_one_switch(number).0);
                let some = some.filter(|situation| situation.kind == kind).take(count);
                let names: BTreeSet<String> = some.map(|situation| situation.trace("", "")).collect();
                assert_eq!(names.len(), count);
            }
        }
    }

    #[test]
    fn no_drawn_schedule_is_left_out_or_comes_twice() {
        let mut situations = situations();
        situations.retain(|situation| situation.kind == Kind::Contested);
        situations.truncate(3);
        let plan = Plan { seed: 1, situations: &situations };
        let drawn = (0..).map(|number| plan.schedule(number)).filter(|(_, who)| switch(who).is_none());
        for (number, (situation, _)) in (0..400).zip(drawn) {
            assert_eq!(situation, plan.drawn_on(number));
        }
    }
}
