//! How much was done, and how it was answered.

use std::collections::BTreeMap;

use parallax_trace::Outcome;

use crate::act::{Act, Class, Tells};

/// How an operation was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// Done.
    Accepted,
    /// An error code, or no such call.
    Refused,
    /// An abort: of the CPU, or of the device.
    Aborted,
    /// Anything else: there is no such device, the operation makes no sense on this machine.
    Other,
}

impl Answer {
    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Ok { .. } => Self::Accepted,
            Outcome::Error(_) | Outcome::NotSupported | Outcome::Undefined => Self::Refused,
            Outcome::Abort | Outcome::Bus => Self::Aborted,
            Outcome::NoDevice | Outcome::Timeout | Outcome::Unknown(_) => Self::Other,
        }
    }
}

/// Counts of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Operations, by class and answer.
    pub answers: BTreeMap<(Class, Answer), u64>,
    /// How often CR0 was written, and all that was asked for came on; some of it; nothing.
    pub enabled: [u64; 3],
    /// Commands that were given; all of their batch was taken; a command of it was refused; the queue stood still.
    pub commands: [u64; 4],
    /// Looks at all tables, and how many of them showed a change.
    pub looks: [u64; 2],
    /// Bytes of the hypervisor that were compared at each look.
    pub sealed: u64,
}

impl Counts {
    /// Counts `act`, which ended with `outcome`.
    pub(super) fn count(&mut self, act: &Act, outcome: &Outcome) {
        *self.answers.entry((act.class, Answer::of(outcome))).or_default() += 1;
        let Outcome::Ok { value: Some(value) } = *outcome else { return };
        match act.tells {
            Tells::Enabled(wanted) if wanted & 0xd != 0 => {
                let on = value & wanted & 0xd;
                let index = if on == wanted & 0xd { 0 } else { 1 + usize::from(on == 0) };
                self.enabled[index] += 1;
            }
            Tells::Taken(count, prod) if count != 0 => {
                self.commands[0] += count;
                let refused = value >> 24 & 0x7f != 0;
                let index = if value == prod { 1 } else { 2 + usize::from(!refused) };
                self.commands[index] += count;
            }
            _ => (),
        }
    }

    /// Adds the counts of another machine.
    pub(super) fn add(&mut self, other: &Self) {
        for (key, count) in &other.answers {
            *self.answers.entry(*key).or_default() += count;
        }
        let all = |into: &mut [u64], from: &[u64]| into.iter_mut().zip(from).for_each(|(a, b)| *a += b);
        all(&mut self.enabled, &other.enabled);
        all(&mut self.commands, &other.commands);
        all(&mut self.looks, &other.looks);
        self.sealed = self.sealed.max(other.sealed);
    }

    /// How many operations of `class` were answered with `answer`.
    #[must_use]
    pub fn of(&self, class: Class, answer: Answer) -> u64 {
        self.answers.get(&(class, answer)).copied().unwrap_or(0)
    }

    /// How many operations there were.
    #[must_use]
    pub fn ops(&self) -> u64 {
        self.answers.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::number;

    #[test]
    fn what_registers_tell_is_counted() {
        let mut counts = Counts::default();
        let act = |tells| Act::load(Class::Setup, number(0), 4).telling(tells);
        let value = |value| Outcome::Ok { value: Some(value) };
        for (wanted, got) in [(0xd, 0xd), (0xd, 4), (0xd, 0), (0, 0)] {
            counts.count(&act(Tells::Enabled(wanted)), &value(got));
        }
        for cons in [3, 1 | 1 << 24, 0] {
            counts.count(&act(Tells::Taken(2, 3)), &value(cons));
        }
        assert_eq!((counts.enabled, counts.commands), ([1, 1, 1], [6, 2, 2, 2]));
        assert_eq!((counts.ops(), counts.of(Class::Setup, Answer::Accepted)), (7, 7));
    }
}
