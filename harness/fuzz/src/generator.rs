//! The hostile host: what it does next.
//!
//! It goes from burst to burst. Most of them begin with an SMMU that is set up, so that what follows gets deep; then
//! single things are wrong. What it reads (GERROR, CMDQ_CONS) it acts upon, as a driver would.

use parallax_addr::PAGE_SIZE;
use parallax_trace::Outcome;

use crate::act::{Act, Class, DONE, Tells, number, ram, smmu};
use crate::commands;
use crate::entries;
use crate::layout::{CANARY, CANARY_WORD};
use crate::lpis;
use crate::moves;
use crate::pages;
use crate::random::Random;
use crate::service;
use crate::smmu::{View, reg};
use crate::unheld;

/// Operations of a burst, after which all states are checked. The mailbox has room for more.
pub(super) const BURST: usize = 64;
const _: () = assert!(BURST <= parallax_abi::mailbox::SLOTS);
/// Bits of DeviceIDs: those of StreamIDs.
const DEVICE_BITS: u32 = 8;
/// One burst in so many is service.
const SERVICE: u64 = 10;

/// A hostile host.
#[derive(Debug)]
pub(super) struct Generator {
    random: Random,
    view: View,
    lpis: lpis::View,
    cpus: u64,
    emulated: bool,
    /// A number that was not written yet.
    value: u64,
    /// Whether the view is what the SMMU has, as far as the host knows.
    set_up: bool,
}

impl Generator {
    /// The host of machine `index` of a run with `seed`.
    pub(super) fn new(seed: u64, index: u64, cpus: u8, emulated: bool) -> Self {
        let mut random = Random::new(seed, index);
        let view = View::new(&mut random);
        Self {
            random,
            view,
            lpis: lpis::View::of(DEVICE_BITS),
            cpus: cpus.into(),
            emulated,
            value: 0x7ace_0000_0000_0001,
            set_up: false,
        }
    }

    /// Fills the canary and gives it away.
    pub(super) fn opening() -> Vec<Act> {
        let fill = |word| Act::store(Class::Service, ram(CANARY + 8 * word), 8, number(CANARY_WORD));
        let mut acts: Vec<Act> = (0..PAGE_SIZE / 8).step_by(8).map(fill).collect();
        acts.push(Act::pages(Class::Service, "host_donate_hyp", ram(CANARY / PAGE_SIZE), 1).expecting(DONE));
        acts
    }

    /// At the end: the hypervisor still serves.
    pub(super) fn closing(&self) -> Vec<Act> {
        let mut acts = Vec::new();
        if self.emulated {
            let read = Act::load(Class::Service, smmu(reg::GERROR), 4);
            acts.push(read.telling(Tells::Errors));
        }
        acts
    }

    /// Operations of [`Self::closing`] and one [`Self::service`].
    pub(super) fn end(&self) -> usize {
        let mut service = Vec::new();
        service::serve(&mut Random::new(0, 0), 0, self.emulated, 0, &mut service);
        self.closing().len() + service.len()
    }

    /// One round of service.
    pub(super) fn service(&mut self) -> Vec<Act> {
        let mut acts = Vec::new();
        let value = self.numbers(16);
        service::serve(&mut self.random, self.view.errors, self.emulated, value, &mut acts);
        self.set_up = false;
        acts
    }

    /// `count` numbers that were not written yet.
    const fn numbers(&mut self, count: u64) -> u64 {
        let first = self.value;
        self.value += count;
        first
    }

    /// What comes next: at most [`BURST`] operations.
    pub(super) fn burst(&mut self) -> Vec<Act> {
        if self.random.below(SERVICE) == 0 {
            return self.service();
        }
        let mut acts = Vec::new();
        if self.emulated {
            if self.set_up && self.random.percent(60) {
                self.view.go_on(&mut acts);
            } else {
                self.view.set_up(&mut self.random, &mut acts);
                self.set_up = true;
            }
        }
        while acts.len() < BURST - 8 {
            self.attack(&mut acts);
        }
        let tail = if self.emulated { self.tail() } else { Vec::new() };
        acts.truncate(BURST - tail.len());
        acts.extend(tail);
        if self.cpus > 1 {
            // Any CPU may do it, but races are led by CPU 0, and devices are used from there.
            for act in &mut acts {
                let alone = matches!(act.class, Class::Races | Class::Dma) || act.op.shape().is_device();
                if !alone && self.random.percent(25) {
                    *act = act.clone().on(self.random.below(self.cpus));
                }
            }
        }
        acts
    }

    /// What a burst ends with: a look at what went wrong.
    fn tail(&self) -> Vec<Act> {
        let read = |offset| Act::load(Class::Commands, smmu(offset), 4);
        vec![
            read(reg::CMDQ_CONS).telling(Tells::Taken(0, self.view.prod)),
            read(reg::GERROR).telling(Tells::Errors),
        ]
    }

    fn attack(&mut self, acts: &mut Vec<Act>) {
        let random = &mut self.random;
        let class = if self.emulated {
            random.weighted(&[
                (10, Class::Commands),
                (8, Class::Entries),
                (5, Class::Races),
                (3, Class::InUse),
                (2, Class::Registers),
                (2, Class::Hypercalls),
                (5, Class::Dma),
                (5, Class::Lpis),
                (1, Class::Masters),
                (1, Class::Accesses),
                (1, Class::Calls),
                (1, Class::Geometry),
                (1, Class::Queues),
                (1, Class::Setup),
            ])
        } else {
            random.weighted(&[
                (6, Class::Hypercalls),
                (2, Class::Calls),
                (4, Class::Accesses),
                (1, Class::Dma),
                (5, Class::Lpis),
                (1, Class::Masters),
                (1, Class::Registers),
            ])
        };
        match class {
            Class::Registers => moves::registers(random, acts),
            Class::Setup => self.view.set_up(random, acts),
            Class::Entries => self.entry(acts),
            Class::Geometry => moves::geometry(random, acts),
            Class::Queues => moves::queues(random, acts),
            Class::Races if self.cpus > 1 => moves::race(&mut self.view, random, acts),
            Class::Commands | Class::Races => commands::batch(&mut self.view, random, acts),
            Class::InUse => moves::in_use(&self.view, random, acts),
            Class::Hypercalls => pages::hypercalls(random, acts),
            Class::Calls => pages::calls(random, acts),
            Class::Accesses => pages::accesses(random, acts),
            Class::Lpis => lpis::attack(&mut self.lpis, self.cpus, random, acts),
            Class::Masters => unheld::attack(random, acts),
            Class::Dma | Class::Service => {
                let value = self.numbers(1);
                pages::dma(&mut self.random, value, acts);
            }
        }
        // A host that lost its SMMU sets it up again in the next burst.
        self.set_up &= !matches!(class, Class::Geometry | Class::Queues);
    }

    /// Changes a context descriptor, and says so with one command that names no entry.
    fn context(&mut self, acts: &mut Vec<Act>) {
        let random = &mut self.random;
        let wrong = random.percent(30);
        entries::context(random, self.view.context, wrong, acts);
        let stream = random.pick(&[8, 8, 16, 0]);
        let command = commands::context(random, stream);
        commands::put(&mut self.view, Class::Entries, &command, acts);
        commands::ring(&self.view, Class::Entries, 1, acts);
    }

    /// Changes an entry of the live table, or what stage 1 it leads to, and says so.
    fn entry(&mut self, acts: &mut Vec<Act>) {
        if self.random.percent(15) {
            return self.context(acts);
        }
        let random = &mut self.random;
        let stream = random.pick(&[8, 8, 16, 0]);
        let legal = random.percent(60);
        let entry = entries::entry(random, self.view.context.0, legal);
        entries::store(Class::Entries, self.view.entry(stream), &entry, acts);
        if random.percent(30) {
            let wrong = random.percent(50);
            entries::context(random, self.view.context, wrong, acts);
        }
        let command = commands::configure(stream);
        commands::put(&mut self.view, Class::Entries, &command, acts);
        commands::ring(&self.view, Class::Entries, 1, acts);
    }

    /// Takes note of how `act` ended.
    pub(super) fn learn(&mut self, act: &Act, outcome: &Outcome) {
        let Outcome::Ok { value: Some(value) } = *outcome else { return };
        match act.tells {
            Tells::Errors => self.view.errors = value,
            Tells::Taken(..) => self.view.cons = value,
            Tells::Enabled(_) | Tells::Nothing => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn acts(seed: u64, index: u64, cpus: u8, emulated: bool) -> Vec<Act> {
        let mut generator = Generator::new(seed, index, cpus, emulated);
        (0..200).flat_map(|_| generator.burst()).collect()
    }

    #[test]
    fn a_seed_gives_the_same_operations() {
        let texts = |seed| acts(seed, 0, 2, true).iter().map(|act| act.op.to_string()).collect::<Vec<_>>();
        assert_eq!(texts(1), texts(1));
        assert_ne!(texts(1), texts(2));
    }

    #[test]
    fn every_class_of_attack_comes() {
        let classes: BTreeSet<Class> = acts(1, 0, 2, true).iter().map(|act| act.class).collect();
        assert_eq!(classes.into_iter().collect::<BTreeSet<_>>(), Class::ALL.into_iter().collect());
    }

    #[test]
    fn no_burst_is_larger_than_the_mailbox_but_service() {
        let mut generator = Generator::new(5, 1, 1, true);
        for _ in 0..500 {
            let burst = generator.burst();
            assert!(!burst.is_empty());
            assert!(burst.len() <= BURST || burst[0].class == Class::Service, "{}", burst.len());
        }
    }

    #[test]
    fn what_the_host_does_can_be_written_as_a_trace() {
        let text = acts(9, 3, 2, true)
            .iter()
            .fold("machine cpus=2\n".to_owned(), |text, act| text + &act.op.to_string() + "\n");
        let trace = parallax_trace::Trace::parse("attack", &text).unwrap();
        assert!(trace.ops.iter().zip(acts(9, 3, 2, true)).all(|(op, act)| op.args == act.op.args));
    }

    #[test]
    fn no_call_stops_the_host_and_no_page_is_the_hosts_own() {
        for act in acts(2, 0, 2, false) {
            let number = act.op.arg("id").map(|id| id.offset & 0xffff_ffff);
            let stops =
                number.is_some_and(|id| [0x8400_0002, 0x8400_0008, 0x8400_0009].contains(&(id & !(1 << 30))));
            assert!(!stops, "{}", act.op);
        }
    }
}
