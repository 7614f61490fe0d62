//! The ITS: its command queue is held while GITS_CTLR.Enabled is set, an ITT as long as its device is mapped (docs/masters.md; IHI 0069,
//! 5.2 and 12.19).

use std::collections::BTreeMap;

use parallax_addr::{PhysAddr, Span};
use parallax_gic::raw::gits;
use parallax_gic::{Cbaser, Command, CommandKind, Ite};
use parallax_model::ItsState;
use parallax_vmsa::PhysMem;

use super::commands::Limits;
use super::issued::differ;
use super::registers::{FLAG, Frame, Register};
use crate::holding::{At, hold, release};
use crate::part::Part;
use crate::view::Effect;
use crate::words::{Fetch, Words};

/// How much work one access begins: a MAPD counts as 16, any other command as 1.
const BUDGET: u64 = 64;
/// How many devices may be mapped.
const DEVICES: usize = 64;

/// The ITS.
#[derive(Clone, Debug)]
pub(super) struct Its {
    pub(super) frame: Frame,
    limits: Limits,
    /// The command queue, while it is enabled.
    queue: Option<Span<PhysAddr>>,
    /// Devices that are mapped: how many events they have, and the pages of the ITT.
    itts: BTreeMap<u64, (u64, Span<PhysAddr>)>,
    /// Commands that were performed in this step; nothing if that is not known.
    pub(super) performed: Option<Vec<Command>>,
}

impl Its {
    /// As it is at boot: off. Its registers are at `base`.
    pub(super) fn new(base: PhysAddr, limits: Limits) -> Self {
        Self {
            frame: Frame::new(base, gits::FRAME),
            limits,
            queue: None,
            itts: BTreeMap::new(),
            performed: None,
        }
    }

    /// A step begins.
    pub(super) fn begin(&mut self) {
        self.performed = (!self.frame.lost).then(Vec::new);
    }

    /// What is wrong with the commands that the ITS was given in this step, between two states.
    pub(super) fn differs(&self, states: (&ItsState, &ItsState), memory: &dyn PhysMem) -> Option<String> {
        differ(self.performed.as_ref()?, self.limits.redistributors as usize, states, memory)
    }

    /// What it holds.
    pub(super) fn spans(&self) -> impl Iterator<Item = Span<PhysAddr>> {
        self.queue.into_iter().chain(self.itts.values().map(|(_, itt)| *itt))
    }

    /// `value` is written to `part`. Nothing where what comes of it is not known.
    pub(super) fn write(
        &mut self,
        (part, value): (Part<Register>, u64),
        words: &Words,
        at: At<'_>,
        effects: &mut Vec<Effect>,
    ) -> Option<()> {
        match part.register {
            Register::Ctlr if value & FLAG == 0 => {
                if let Some(queue) = self.queue.take() {
                    release(queue, at, effects);
                }
                self.frame.set(part.register, Some(0));
            }
            Register::Baser0 if self.frame.get(Register::Ctlr) == Some(0) => {
                for (_, (_, itt)) in std::mem::take(&mut self.itts) {
                    release(itt, at, effects);
                }
                if self.frame.lost {
                    self.frame.find();
                }
                self.frame.put(part, value);
            }
            // Whether it is on is all that counts then.
            Register::Ctlr if self.frame.lost => self.frame.set(part.register, None),
            _ if self.frame.lost => {}
            Register::Cwriter => {
                self.command(part, value);
                self.work(words, at, effects)?;
            }
            _ if self.frame.get(Register::Ctlr) != Some(0) => {}
            Register::Ctlr => self.enable(words, at, effects)?,
            Register::Cbaser => {
                self.frame.put(part, value);
                self.frame.set(Register::Creadr, Some(0));
            }
            Register::Baser1 => self.frame.put(part, value),
            _ => {}
        }
        Some(())
    }

    /// GITS_CTLR.Enabled is set, if the queue can be lent. One that is not valid is none.
    fn enable(&mut self, words: &Words, at: At<'_>, effects: &mut Vec<Effect>) -> Option<()> {
        let memory = Cbaser(self.frame.get(Register::Cbaser)?).memory();
        self.queue = memory.map_or(Some(None), |memory| hold(memory, at, &[], effects))?;
        let on = memory.is_none() || self.queue.is_some();
        self.frame.set(Register::Ctlr, Some(u64::from(on)));
        // Whether a queue that stood still goes on is open.
        self.frame.get(Register::Creadr).filter(|reader| self.queue.is_none() || reader & FLAG == 0)?;
        self.work(words, at, effects)
    }

    /// GITS_CWRITER is written. What is beyond the queue is ignored.
    fn command(&mut self, part: Part<Register>, value: u64) {
        let queue = self.frame.get(Register::Cbaser).and_then(|base| Cbaser(base).memory());
        let (old, reader) = (self.frame.get(part.register), self.frame.get(Register::Creadr));
        self.frame.put(part, value);
        let writer = self.frame.get(part.register);
        let beyond = writer >= Some(queue.map_or(0, |queue| queue.size));
        if beyond {
            self.frame.set(part.register, old.filter(|_| queue.is_some()));
        }
        if part.low == 0 && value & FLAG != 0 && reader.is_some_and(|reader| reader & FLAG != 0) {
            let again = reader.filter(|_| self.queue.is_some() && !beyond);
            self.frame.set(Register::Creadr, again.map(|reader| reader & !FLAG));
        }
    }

    /// Performs commands: what one access does. The next one goes on.
    pub(super) fn work(&mut self, words: &Words, at: At<'_>, effects: &mut Vec<Effect>) -> Option<()> {
        let Some(queue) = self.queue else { return Some(()) };
        let below = |offset: &u64| *offset < queue.size;
        let end = self.frame.get(Register::Cwriter).filter(below)?;
        let (mut from, mut cost) = (self.frame.get(Register::Creadr).filter(below)?, 0);
        while from & FLAG == 0 && from != end && cost < BUDGET {
            let mut bytes = [0; Command::BYTES as usize];
            Fetch::new(words, at.memory, at.view).read(queue.base.wrapping_add(from), &mut bytes).ok()?;
            let command = Command::from_bytes(&bytes);
            cost += if command.kind() == CommandKind::Mapd { 16 } else { 1 };
            let done = self.perform(&command, at, effects)?;
            self.performed.iter_mut().filter(|_| done).for_each(|performed| performed.push(command));
            from = if done { (from + Command::BYTES) % queue.size } else { from | FLAG };
        }
        self.frame.set(Register::Creadr, Some(from));
        Some(())
    }

    /// Performs `command`. False where it is refused.
    fn perform(&mut self, command: &Command, at: At<'_>, effects: &mut Vec<Effect>) -> Option<bool> {
        let field = |name| command.field(name).unwrap_or(0);
        let device = field("DeviceID");
        let events = self.itts.get(&device).map_or(0, |(events, _)| *events);
        let done = self.limits.allow(command, events)?;
        if command.kind() != CommandKind::Mapd || !done {
            return Some(done);
        }
        let mut itt = None;
        if field("V") != 0 {
            if self.itts.len() >= DEVICES {
                return (!self.itts.contains_key(&device)).then_some(false);
            }
            let events = 2 << field("Size");
            let memory = Span::new(PhysAddr::new(field("ITT_addr")), events * Ite::BYTES);
            let own: Vec<_> = self.itts.values().map(|(_, itt)| *itt).collect();
            // The command behind it may return it: the state after all of them tells nothing.
            let at = At { after: None, ..at };
            let Some(pages) = hold(memory, at, &own, effects)? else { return Some(false) };
            itt = Some((events, pages));
        }
        if let Some((_, old)) = self.itts.remove(&device) {
            release(old, at, effects);
        }
        self.itts.extend(itt.map(|itt| (device, itt)));
        Some(true)
    }

    /// Nothing is known of it any more.
    pub(super) fn lose(&mut self) {
        self.frame.lost = true;
        self.frame.set(Register::Ctlr, None);
        self.performed = None;
    }
}
