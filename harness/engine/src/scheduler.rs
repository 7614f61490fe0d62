//! A schedule, as a machine asks for its turns.

use std::vec::IntoIter;

use parallax_ops::{CpuId, Schedule};

/// The turns of a schedule that nobody has asked for yet.
#[derive(Debug)]
pub(crate) struct Scheduler {
    turns: IntoIter<CpuId>,
    last: CpuId,
}

impl Scheduler {
    /// All turns of `schedule`.
    pub(crate) fn new(schedule: &Schedule) -> Self {
        Self { turns: schedule.turns().to_vec().into_iter(), last: CpuId::default() }
    }

    /// Which of the CPUs that are `able` to goes on: behind the last turn the one that had it, as far as it can.
    pub(crate) fn choose(&mut self, able: &[CpuId]) -> CpuId {
        // A turn of one that cannot go on is passed over.
        if let Some(next) = self.turns.find(|cpu| able.contains(cpu)) {
            self.last = next;
        }
        self.last
    }

    /// How many turns are left.
    pub(crate) fn left(&self) -> usize {
        self.turns.len()
    }
}

/// Gives the turns of `schedule`, as [`Scheduler::choose`] does.
pub fn scheduler(schedule: &Schedule) -> impl FnMut(&[CpuId]) -> CpuId {
    let mut scheduler = Scheduler::new(schedule);
    move |able| scheduler.choose(able)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_that_nobody_asks_for_are_left() {
        let cpus = [0, 1].map(CpuId::new);
        let mut scheduler = Scheduler::new(&"01101".parse().unwrap());
        assert_eq!(scheduler.choose(&cpus), cpus[0]);
        assert_eq!(scheduler.choose(&cpus[..1]), cpus[0], "two turns of the other one are passed over");
        assert_eq!(scheduler.left(), 1);
        assert_eq!([scheduler.choose(&cpus), scheduler.choose(&cpus)], [cpus[1]; 2]);
        assert_eq!(scheduler.left(), 0);
    }
}
