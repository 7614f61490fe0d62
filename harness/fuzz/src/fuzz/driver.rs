//! The host's own SMMU: a driver that sets it up and changes its streams; and a host that does what none would do.

use std::collections::VecDeque;

use parallax_ops::Outcome;
use parallax_trace::Op;

use crate::act::Act;
use crate::explore::smmu::{self, Both};
use crate::generator::Generator;
use crate::random::Random;

/// What the driver knows.
#[derive(Debug, Default)]
pub(super) struct Driver {
    /// Whether queues and tables are written.
    ready: bool,
    streams: Both,
}

impl Driver {
    /// One step of a driver in order: nothing is expected of it, as its memory may have been given away.
    pub(super) fn next(&mut self, random: &mut Random) -> Vec<Op> {
        let mut ops = Vec::new();
        if !self.ready || random.percent(5) {
            ops = smmu::set_up().ops;
            self.ready = true;
        }
        let next = smmu::after(self.streams);
        let to = next[random.below(next.len() as u64) as usize];
        ops.extend(smmu::change(self.streams, to));
        self.streams = to;
        ops.into_iter().map(|op| Op { expect: None, ..op }).collect()
    }

    /// Somebody else had the SMMU.
    pub(super) fn lose(&mut self) {
        *self = Self::default();
    }
}

/// The host of `parallax attack`, a burst at a time.
#[derive(Debug)]
pub(super) struct Hostile {
    generator: Generator,
    begun: bool,
    /// What it did, and has not heard of yet.
    pending: VecDeque<Act>,
}

impl Hostile {
    /// One whose choices `number` decides.
    pub(super) fn new(number: u64, cpus: u64, emulated: bool) -> Self {
        let cpus = u8::try_from(cpus).unwrap_or(1);
        let generator = Generator::new(number, 0, cpus, emulated);
        Self { generator, begun: false, pending: VecDeque::new() }
    }

    /// What it does next; it expects nothing.
    pub(super) fn burst(&mut self) -> Vec<Op> {
        let mut acts = if self.begun { Vec::new() } else { Generator::opening() };
        self.begun = true;
        acts.extend(self.generator.burst());
        let ops = acts.iter().map(|act| Op { expect: None, ..act.op.clone() }).collect();
        self.pending.extend(acts);
        ops
    }

    /// Its next operation ended with `outcome`.
    pub(super) fn hears(&mut self, outcome: &Outcome) {
        if let Some(act) = self.pending.pop_front() {
            self.generator.learn(&act, outcome);
        }
    }
}
