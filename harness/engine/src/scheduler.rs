//! A schedule, as a machine asks for its turns.

use parallax_ops::{CpuId, Schedule};

/// Gives the turns of `schedule`: behind the last one the CPU that had it goes on as far as it can.
pub fn scheduler(schedule: &Schedule) -> impl FnMut(&[CpuId]) -> CpuId {
    let mut turns = schedule.turns().to_vec().into_iter();
    let mut last = CpuId::default();
    move |able| {
        // A turn of one that cannot go on is passed over.
        if let Some(next) = turns.find(|cpu| able.contains(cpu)) {
            last = next;
        }
        last
    }
}
