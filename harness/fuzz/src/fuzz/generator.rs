//! What the host does next: operations chosen by what every page is.

use std::collections::BTreeSet;

use parallax_abi::mailbox::SLOTS;
use parallax_addr::AddressMap;
use parallax_ops::Outcome;
use parallax_spec::{Page, View};
use parallax_trace::Op;
use parallax_trace::spec::{HostView, SmmuMode};

use super::driver::{Driver, Hostile};
use super::kind::Kind;
use super::machines::{Drawn, Special};
use super::model::{Model, Predicted};
use super::places::{GIBIBYTE, Group, PAGES, blocks, groups};
use super::{calls, data, ranges, scenes};
use crate::lpis;
use crate::random::Random;

/// An operation, and what it is there for.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) kind: Kind,
    /// Where its pages are, if that was chosen on purpose.
    pub(super) place: Option<Kind>,
    pub(super) op: Op,
}

/// What machine it is.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) map: AddressMap,
    pub(super) cpus: u64,
    pub(super) streams: Vec<u64>,
    /// Whether devices are held: with the SMMU left alone they reach everything.
    pub(super) held: bool,
    pub(super) emulated: bool,
    /// Whether the SMMU walks the host's table.
    pub(super) shared: bool,
    pub(super) few_tables: bool,
    /// Whether its CPUs have FEAT_LSE.
    pub(super) swaps: bool,
    /// Bits of DeviceIDs.
    pub(super) device_bits: u32,
    pub(super) special: Special,
    pub(super) no_map: Option<u64>,
    /// Whether MMIO was taken on both sides of [`super::machines::HOLE`].
    pub(super) hole: bool,
}

impl Setting {
    /// The setting of a machine that was `drawn`, whose places are in `map`.
    pub(super) fn of(drawn: &Drawn, map: &AddressMap) -> Self {
        let spec = &drawn.spec;
        Self {
            map: map.clone(),
            cpus: spec.cpus.into(),
            streams: spec.devices.iter().map(|device| u64::from(device.slot()) << 3).collect(),
            held: spec.hyp.smmu != SmmuMode::Off,
            emulated: spec.hyp.smmu_host == HostView::Emulated,
            shared: spec.hyp.smmu == SmmuMode::Shared,
            few_tables: spec.hyp.host_s2_pages.is_some() || spec.hyp.el2_free_pages.is_some(),
            swaps: spec.cpu != "cortex-a53",
            device_bits: spec.hyp.sid_bits.into(),
            special: drawn.special,
            no_map: drawn.no_map(),
            hole: drawn.has_hole(),
        }
    }

    /// Whether a driver has the host's own SMMU whose memory others touch.
    pub(super) fn driven(&self) -> bool {
        self.emulated && !self.special.has_scenes() && self.special != Special::Pins
    }
}

/// The host.
#[derive(Debug)]
pub(super) struct Generator {
    pub(super) random: Random,
    pub(super) model: Model,
    pub(super) setting: Setting,
    pub(super) groups: Vec<Group>,
    pub(super) blocks: Vec<u64>,
    pub(super) driver: Option<Driver>,
    pub(super) hostile: Hostile,
    pub(super) lpis: lpis::View,
    pub(super) deck: scenes::Deck,
    /// GERROR, as the host's own SMMU shows it.
    pub(super) errors: u64,
    /// Abstract states of groups that came up.
    pub(super) states: BTreeSet<u64>,
    /// A number that was not written yet.
    pub(super) value: u64,
    pub(super) steps: Vec<Step>,
}

/// What is done next.
type Move = fn(&mut Generator);

impl Generator {
    /// A host of the machine that `setting` describes, in the state that `view` shows.
    pub(super) fn new(mut random: Random, setting: Setting, view: &dyn View) -> Self {
        let model = Model::of(view);
        let hostile = Hostile::new(random.any(), setting.cpus, setting.emulated);
        let mut generator = Self {
            groups: groups(&setting, view.frames()),
            blocks: blocks(&setting.map),
            driver: setting.driven().then(Driver::default),
            hostile,
            lpis: lpis::View::of(setting.device_bits),
            deck: scenes::Deck::default(),
            errors: 0,
            random,
            model,
            setting,
            states: BTreeSet::new(),
            value: 0x7ace_0000_0000_0001,
            steps: Vec::new(),
        };
        if generator.setting.few_tables && generator.setting.special != Special::NoTable {
            ranges::most_tables(&mut generator);
            // Before memory takes all tables, MMIO does.
            (0..8).for_each(|_| data::far(&mut generator));
        } else if generator.blocks.last().is_some_and(|block| *block > 2 * GIBIBYTE) {
            ranges::gibibyte(&mut generator);
        }
        generator
    }

    /// The state is the one that `view` shows.
    pub(super) fn learn(&mut self, view: &dyn View) {
        self.model = Model::of(view);
    }

    /// `step` ended with `outcome`.
    pub(super) fn hears(&mut self, step: &Step, outcome: &Outcome) {
        if step.kind == Kind::Hostile {
            self.hostile.hears(outcome);
        }
    }

    /// As many operations as go without a stop, and those that go alone among them.
    pub(super) fn chunk(&mut self) -> Vec<Step> {
        let moves = self.moves();
        while self.steps.len() < SLOTS {
            let next = self.random.weighted(&moves);
            next(self);
        }
        let mut steps: Vec<Step> = std::mem::take(&mut self.steps);
        self.steps = steps.split_off(SLOTS);
        for step in &mut steps {
            let anywhere = matches!(step.op.shape(), parallax_ops::Operation::Hypercall(_));
            if self.setting.cpus > 1 && anywhere && self.random.percent(25) {
                step.op.cpu = self.random.below(self.setting.cpus);
            }
        }
        steps
    }

    /// Each move, with its weight: those that go alone are slow, and rare.
    fn moves(&self) -> Vec<(u64, Move)> {
        if self.setting.special == Special::Pins {
            return vec![(200, calls::pins as Move), (1, calls::life), (1, calls::refused)];
        }
        if matches!(self.setting.special, Special::NoTable | Special::Its) {
            // Calls would take the one table that there is. There are many scenes of the ITS.
            return vec![(8, scenes::scene as Move), (1, calls::unknown), (1, calls::odd)];
        }
        let tables = if self.setting.few_tables { 120 } else { 20 };
        let far = u64::from(self.setting.few_tables) * 4;
        let hole = u64::from(self.setting.hole) * 4;
        let several = u64::from(self.setting.cpus > 1);
        let driver = u64::from(self.driver.is_some());
        let hostile = u64::from(self.setting.special == Special::Hostile);
        let interrupts = u64::from(self.setting.special == Special::Interrupts);
        let scenes = match self.setting.special {
            // They are short, and do little else.
            special if special.is_short() => 200,
            special => 60 * u64::from(special.has_scenes()),
        };
        vec![
            (400, calls::life as Move),
            (120, calls::refused),
            (60, ranges::border),
            (if self.setting.shared { 36 } else { 12 }, ranges::power_of_two),
            (8, ranges::nothing),
            (8, ranges::huge),
            (8, ranges::wrapping),
            (tables, ranges::tables),
            (4, calls::pins),
            (10, calls::unknown),
            (10, calls::odd),
            (4, calls::secure),
            (4, calls::event),
            (several, calls::cpus),
            (2, data::several),
            (far, data::far),
            (hole, data::hole),
            (4 * driver, data::driver),
            (6 * hostile, data::hostile),
            (200 * interrupts, data::interrupts),
            (scenes, scenes::scene),
        ]
    }

    /// What the specification says of `op` in the state that all operations before it lead to.
    pub(super) fn predict(&self, op: &Op) -> Option<Predicted> {
        op.operation(&self.setting.map).ok().map(|operation| self.model.predict(&operation))
    }

    /// `op` is next.
    pub(super) fn push(&mut self, kind: Kind, place: Option<Kind>, op: Op) {
        if let Some(predicted) = self.predict(&op) {
            self.model.apply(&predicted.effects);
        }
        self.steps.push(Step { kind, place, op });
    }

    /// `op`, which names pages of `group`, is next.
    pub(super) fn push_at(&mut self, kind: Kind, group: &Group, op: Op) {
        self.push(kind, Some(group.kind), op);
        self.states.insert(self.state_of(group));
    }

    /// Whether `op` is refused, and how.
    pub(super) fn refused(&self, op: &Op) -> Option<(Outcome, String)> {
        self.predict(op).and_then(|predicted| predicted.refused)
    }

    /// A group.
    pub(super) fn group(&mut self) -> Group {
        let index = self.random.below(self.groups.len() as u64) as usize;
        self.groups[index].clone()
    }

    /// A number for the abstract state of `group`: what each page is, and how often it is pinned as far as two.
    fn state_of(&self, group: &Group) -> u64 {
        let code = |page: Page| match page {
            Page::Host => 0,
            Page::Lent { pins: 0, held: 0 } => 1,
            Page::Lent { .. } if page.all_pins() == 1 => 2,
            Page::Lent { .. } if page.all_pins() == u16::MAX => 4,
            Page::Lent { .. } => 3,
            Page::Given { users: 0 } => 5,
            Page::Given { .. } => 6,
            Page::Kept => 7,
            Page::NoMap => 8,
            Page::HostMmio => 9,
            Page::UsedMmio => 10,
            Page::TakenMmio => 11,
            Page::Broken(_) => 12,
        };
        let pages = (0..PAGES).map(|index| code(self.model.page(group.frame + index)));
        pages.fold(group.kind as u64, |state, code| state << 4 | code)
    }
}
