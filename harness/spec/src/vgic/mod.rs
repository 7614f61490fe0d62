//! The ITS and the redistributors that the host sees: which memory they hold (docs/masters.md; IHI 0069).
//!
//! It is written from that page. Where the page or the manual leaves something open, or what happens depends on something that nobody
//! looked at, this knows less of the one that it is about, and says less, until the host turns that off.

mod commands;
mod issued;
mod its;
mod redistributor;
mod registers;
#[cfg(test)]
mod tests;

use parallax_addr::{PhysAddr, Span};
use parallax_gic::RedistributorCtlr;
use parallax_model::GicState;
use parallax_ops::{CpuAccess, Operation, Outcome};
use parallax_vmsa::PhysMem;

use self::commands::Limits;
use self::its::Its;
use self::redistributor::Redistributor;
use self::registers::{FLAG, IDENTIFICATION, OF_ITS, OF_REDISTRIBUTOR, QUIESCENT, Register};
use crate::holding::At;
use crate::part::{Part, differs, not_performed};
use crate::step::{Next, Wrong};
use crate::view::Effect;
use crate::words::Words;

/// The ITS and the redistributors.
#[derive(Clone, Debug)]
pub struct Vgic {
    its: Its,
    redistributors: Vec<Redistributor>,
    words: Words,
    /// Devices may write elsewhere than they say.
    elsewhere: bool,
}

impl Vgic {
    /// As they are at boot, with registers at `its` and at each of `redistributors`. With `elsewhere`, devices may write elsewhere than
    /// they say.
    #[must_use]
    pub fn new(its: PhysAddr, redistributors: &[PhysAddr], sid_bits: u8, elsewhere: bool) -> Self {
        let limits = Limits { devices: 1 << sid_bits.min(16), redistributors: redistributors.len() as u64 };
        let redistributors = redistributors.iter().map(|base| Redistributor::new(*base)).collect();
        Self { its: Its::new(its, limits), redistributors, words: Words::default(), elsewhere }
    }

    /// A step begins, in which `operations` are performed.
    pub fn begin<'a>(&mut self, operations: impl Iterator<Item = &'a Operation>) {
        self.words.begin(operations, |_| self.elsewhere);
        self.its.begin();
    }

    /// What is wrong with the commands that the ITS was given in the step, from one state to another.
    pub(crate) fn commands(
        &self,
        before: &GicState,
        after: &GicState,
        memory: &dyn PhysMem,
    ) -> Option<String> {
        self.its.differs((before.its.as_ref()?, after.its.as_ref()?), memory)
    }

    /// What is held, as far as it is known.
    pub(crate) fn spans(&self) -> Vec<Span<PhysAddr>> {
        self.its.spans().chain(self.redistributors.iter().flat_map(|one| one.held.clone())).collect()
    }

    /// What `operation`, which ended with `outcome`, may have done; nothing if it is not `here`, in a frame of theirs.
    pub fn perform(
        &mut self,
        operation: &Operation,
        outcome: &Outcome,
        here: bool,
        at: At<'_>,
    ) -> Option<Next> {
        let (ipa, size, written) = match *operation {
            _ if !here => {
                self.words.follow(operation, outcome, self.elsewhere);
                return None;
            }
            Operation::Access(CpuAccess::Read { ipa, size, .. }) => (ipa, size, None),
            Operation::Access(CpuAccess::Write { ipa, size, value, .. }) => (ipa, size, Some(value)),
            // Without a valid syndrome it is not performed.
            _ if *outcome == Outcome::Abort => return Some(Next::SAME),
            _ => {
                self.its.lose();
                self.redistributors.iter_mut().for_each(|one| one.frame.lost = true);
                return Some(Next { lends: true, ..Next::SAME });
            }
        };
        let index = self.redistributors.iter().position(|one| one.frame.span.contains(ipa.identity()));
        if index.is_none() && !self.its.frame.span.contains(ipa.identity()) {
            return Some(Next::SAME);
        }
        let mut next = Next { lends: self.is_lost(index), ..Next::SAME };
        let offset = ipa.get() & 0xffff;
        let registers = if index.is_some() { &OF_REDISTRIBUTOR[..] } else { &OF_ITS };
        let part = Part::at(registers, offset, size);
        let Outcome::Ok { value: read } = *outcome else {
            return Some(Next { wrong: not_performed("vgic/access", offset, size), ..next });
        };
        match (part, written, read) {
            (Some(part), Some(value), _) => next.effects = self.write(index, part, value, at),
            (Some(part), None, Some(value)) => {
                if part.register == Register::Creadr {
                    next.effects = self.goes_on(at);
                }
                next.wrong = self.read(index, part, value);
            }
            (None, None, Some(value)) if index.is_none() && offset < IDENTIFICATION => {
                next.wrong = differs("vgic/reserved", (0, u64::MAX), value);
            }
            _ => {}
        }
        next.lends |= self.is_lost(index);
        Some(next)
    }

    fn is_lost(&self, index: Option<usize>) -> bool {
        index.map_or(self.its.frame.lost, |index| self.redistributors[index].frame.lost)
    }

    /// The ITS performs commands that an access before had to leave.
    fn goes_on(&mut self, at: At<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        if !self.its.frame.lost && self.its.work(&self.words, at, &mut effects).is_none() {
            self.its.lose();
            effects.clear();
        }
        effects
    }

    /// `value` was read from `part`: of a redistributor, or of the ITS. Hardware that has not answered may keep what it had.
    fn read(&mut self, index: Option<usize>, part: Part<Register>, value: u64) -> Option<Wrong> {
        let Some(index) = index else {
            if part.register == Register::Ctlr && value & (QUIESCENT | FLAG) == 0 {
                self.its.lose();
            }
            return self.its.frame.read(part, value);
        };
        let (frame, ctlr) = (&mut self.redistributors[index].frame, RedistributorCtlr(value));
        frame.lost |= part.register == Register::Lpis && (ctlr.rwp() || !ctlr.ces());
        frame.read(part, value)
    }

    /// `value` was written to `part`: of a redistributor, or of the ITS.
    fn write(&mut self, index: Option<usize>, part: Part<Register>, value: u64, at: At<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        let known = match index {
            None => self.its.write((part, value), &self.words, at, &mut effects),
            Some(index) => {
                let shared = self.redistributors.iter().filter_map(|one| one.held.first().copied());
                let shared: Vec<_> = shared.collect();
                self.redistributors[index].write((part, value), &shared, at, &mut effects)
            }
        };
        if known.is_none() {
            // A pending table may be where commands are.
            self.its.lose();
            index.into_iter().for_each(|index| self.redistributors[index].frame.lost = true);
            effects.clear();
        }
        effects
    }
}
