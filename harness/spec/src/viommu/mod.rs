//! The SMMUv3 that the host sees: what its registers, commands and tables do to what its devices reach (docs/viommu.md; IHI 0070).
//!
//! It is written from that page. Where the page leaves something open, or what happens depends on something that nobody looked at,
//! this knows less, and says less: an access may end in any way then, until the host turns the SMMU off and on again.

mod dma;
mod enable;
mod issued;
mod queue;
mod registers;
mod shadowed;
mod stage1;
mod streams;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use parallax_addr::{Ipa, PhysAddr, Span};
use parallax_model::SmmuState;
use parallax_ops::{CpuAccess, DmaAccess, Operation, Outcome};
use parallax_vmsa::PhysMem;

use self::issued::Issued;
use self::queue::Commands;
use self::registers::{
    CMDQ_ERR, CMDQEN, ERRORS, EVENTQEN, KEPT, QUEUE_BASE, REGISTERS, Register, SFM_ERR, SMMUEN,
};
use self::stage1::Remembered;
pub use self::streams::Features;
use self::streams::Stream;
use crate::holding::At;
use crate::part::{Part, differs, not_performed};
use crate::step::{Next, Wrong};
use crate::view::Effect;
use crate::words::Words;

/// Streams whose entries are followed. Of others nothing is known.
const FOLLOWED: u32 = 512;
/// How much work one access does: each entry counts as up to 3, each table of the second level as 16.
const BUDGET: u64 = 1024;
/// How much of it one access does at least, as long as something is left to do.
const PROGRESS: u64 = BUDGET - 16;

/// What is known of whether a bit of CR0 has been acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Enable {
    Off,
    On,
    /// It is asked for (or the contrary, if `false`), and each access goes on with that.
    Soon(bool),
}

/// The SMMU.
#[derive(Clone, Debug)]
pub struct Viommu {
    frame: Span<PhysAddr>,
    sid_bits: u32,
    features: Features,
    /// Nothing is known of it.
    lost: bool,
    /// It was off, and nothing lent to it, a moment ago; nothing was known of it until then.
    found_again: bool,
    smmu: Enable,
    /// Whether CMDQEN and EVENTQEN are set, and what is lent for each and for the stream table.
    held: Held,
    /// Registers that keep what is written to them; those of the command queue are its own.
    kept: [Option<u64>; KEPT],
    /// GERROR.SFM_ERR, as it was last read.
    failed: u64,
    commands: Commands,
    /// Whether the host is told of what is refused, in its event queue or, until it first writes CR0, in the hypervisor's. Where it
    /// is not, an access that was refused seems to have been performed.
    told: bool,
    /// EVENTQ_PROD and EVENTQ_CONS are what hardware makes of zero.
    events_at_zero: bool,
    /// Streams that are not aborted. With `unknown` nothing is known of those that are not here.
    streams: BTreeMap<u32, Stream>,
    unknown: bool,
    /// How much work may be left until a bit of CR0 that is `Soon` is acknowledged.
    left: u64,
    /// Commands that were performed in this step; nothing if that is not known.
    issued: Option<Issued>,
    remembered: Remembered,
    words: Words,
}

/// What is lent to it.
#[derive(Clone, Debug, Default)]
struct Held {
    cmdq: Option<Span<PhysAddr>>,
    eventq: Option<Span<PhysAddr>>,
    strtab: Option<Span<PhysAddr>>,
}

impl Held {
    fn spans(&self) -> Vec<Span<PhysAddr>> {
        [self.cmdq, self.eventq, self.strtab].into_iter().flatten().collect()
    }
}

/// An access to a register.
#[derive(Clone, Copy, Debug)]
enum Access {
    Read { offset: u64, size: u64 },
    Write { offset: u64, size: u64, value: u64 },
}

impl Viommu {
    /// As it is at boot: off, all registers zero. Its registers are in `frame`.
    #[must_use]
    pub fn new(frame: Span<PhysAddr>, sid_bits: u8, features: Features) -> Self {
        Self {
            frame,
            sid_bits: u32::from(sid_bits).min(32),
            features,
            lost: false,
            found_again: false,
            smmu: Enable::Off,
            held: Held::default(),
            kept: [Some(0); KEPT],
            failed: 0,
            commands: Commands::default(),
            told: true,
            events_at_zero: true,
            streams: BTreeMap::new(),
            unknown: false,
            left: 0,
            issued: None,
            remembered: Remembered::default(),
            words: Words::default(),
        }
    }

    /// A step begins, in which `operations` are performed.
    pub fn begin<'a>(&mut self, operations: impl Iterator<Item = &'a Operation>) {
        let (lost, streams) = (self.lost, &self.streams);
        let elsewhere = |sid: u32| {
            lost || self.unknown || matches!(streams.get(&sid), Some(Stream::Stage1(..) | Stream::Unknown))
        };
        let mut words = std::mem::take(&mut self.words);
        words.begin(operations, elsewhere);
        self.words = words;
        self.issued = self.is_still().then(Issued::default);
    }

    /// Whether it is known, and nothing is under way.
    const fn is_still(&self) -> bool {
        !self.lost && !self.commands.is_behind() && !matches!(self.smmu, Enable::Soon(_))
    }

    /// What is wrong with the commands that the SMMU was given in this step, between two states.
    pub(crate) fn commands(
        &self,
        (before, after): (&SmmuState, &SmmuState),
        memory: &dyn PhysMem,
    ) -> Option<String> {
        let queue = after.control.cmdq;
        let known = self.is_still() && after.control.cmdq_enabled && before.control.cmdq == queue;
        let indices = (before.next_command, after.next_command);
        self.issued.as_ref().filter(|_| known)?.differs(queue, indices, memory)
    }

    /// Something happened to it that is not an operation: nothing is known of it any more.
    pub fn lose(&mut self) {
        self.lost = true;
    }

    /// Whether it is known again since the last call: nothing is lent to it now.
    pub const fn is_found_again(&mut self) -> bool {
        std::mem::replace(&mut self.found_again, false)
    }

    /// What `operation`, which ended with `outcome`, may have done; nothing if it has nothing to do with this SMMU.
    pub fn perform(&mut self, operation: &Operation, outcome: &Outcome, at: At<'_>) -> Option<Next> {
        match operation {
            Operation::Access(access) => self.cpu(operation, *access, outcome, at),
            Operation::Dma(access) => {
                let (sid, ipa, len, write) = match *access {
                    DmaAccess::Read { sid, ipa, len } => (sid, ipa, len, false),
                    DmaAccess::Write { sid, ipa, len, .. } => (sid, ipa, len, true),
                };
                let data = operation.data();
                let next = self.dma(sid.get(), Span::new(ipa, len), (write, data.as_ref()), outcome, at);
                // Whoever asks a device looks at the event queue behind it: what is under way goes on meanwhile.
                let goes_on = self.lost || matches!(self.smmu, Enable::Soon(_));
                Some(Next { lends: next.lends || goes_on, ..next })
            }
            _ => {
                self.words.follow(operation, outcome, false);
                None
            }
        }
    }

    fn cpu(
        &mut self,
        operation: &Operation,
        access: CpuAccess,
        outcome: &Outcome,
        at: At<'_>,
    ) -> Option<Next> {
        let frame = self.frame;
        let inside = |ipa: Ipa, size: u64| frame.overlaps(Span::new(ipa.identity(), size.max(1)));
        match access {
            CpuAccess::Read { ipa, size, .. } if inside(ipa, size) => {
                let offset = ipa.get().wrapping_sub(frame.base.get());
                Some(self.register(Access::Read { offset, size }, outcome, at))
            }
            CpuAccess::Write { ipa, size, value, .. } if inside(ipa, size) => {
                let offset = ipa.get().wrapping_sub(frame.base.get());
                Some(self.register(Access::Write { offset, size, value }, outcome, at))
            }
            CpuAccess::Race { ipa, at: second, .. } if inside(ipa, 8) || inside(second, 8) => {
                self.lose();
                Some(Next { lends: true, ..Next::SAME })
            }
            CpuAccess::Probe { ipa, .. } if inside(ipa, 64) => {
                self.lose();
                Some(Next { lends: true, ..Next::SAME })
            }
            _ => {
                self.words.follow(operation, outcome, false);
                None
            }
        }
    }

    /// An access to a register.
    fn register(&mut self, access: Access, outcome: &Outcome, at: At<'_>) -> Next {
        if !matches!(outcome, Outcome::Ok { .. }) {
            let (offset, size) = match access {
                Access::Read { offset, size } | Access::Write { offset, size, .. } => (offset, size),
            };
            let wrong = not_performed("viommu/access", offset, size);
            return Next { wrong, lends: self.lost, ..Next::SAME };
        }
        let mut next = Next { lends: self.lost, effects: self.turned_off(at), ..Next::SAME };
        if matches!(self.smmu, Enable::Soon(_)) {
            self.left = self.left.saturating_sub(PROGRESS);
        }
        match access {
            Access::Read { offset, size } => {
                let part = Part::at(&REGISTERS, offset, size);
                if part.is_some_and(|part| part.register == Register::CmdqCons) {
                    self.work(at);
                }
                let Outcome::Ok { value: Some(value) } = outcome else { return next };
                next.wrong = self.read(part, *value);
                if self.smmu == Enable::Off && self.held.strtab.is_some() {
                    next.effects.extend(self.return_table(at));
                }
            }
            Access::Write { offset, size, value } => {
                if let Some(part) = Part::at(&REGISTERS, offset, size) {
                    next.effects.extend(self.write(part, value, at));
                }
                next.effects.extend(self.turned_off(at));
            }
        }
        // The stream table is returned by one of the accesses from now on.
        next.lends |= self.lost || at.after.is_none() && self.smmu == Enable::Soon(false);
        next
    }

    /// What is wrong with `value`, which was read from `part`; nothing for a register that there is not: it reads as zero.
    fn read(&mut self, part: Option<Part<Register>>, value: u64) -> Option<Wrong> {
        let known = |value| Some((value, u64::MAX));
        let Some(part) = part else { return differs("viommu/reserved", (0, u64::MAX), value) };
        if let Register::Fixed(fixed) = part.register {
            return differs("viommu/fixed", (part.of(fixed), u64::MAX), value);
        }
        let is_error = part.register == Register::Gerror;
        let failed = if is_error { std::mem::replace(&mut self.failed, value & SFM_ERR) } else { 0 };
        if self.lost {
            self.found_again(part, value);
            // The SMMU was turned off for good: that is told once.
            return differs("viommu/register", (failed, failed), value);
        }
        let expected = match part.register {
            Register::Cr0 => Some((self.cr0(), u64::MAX)),
            Register::Cr0Ack => {
                self.acknowledged(value);
                self.acknowledgement()
            }
            Register::Kept(kept) => self.kept[kept.place].and_then(known),
            Register::Gerror => {
                let known = self.commands.gerror(value);
                Some(known.map_or((0, SFM_ERR), |gerror| (gerror, SFM_ERR | CMDQ_ERR)))
            }
            Register::Gerrorn => self.commands.gerrorn(value).map(|gerrorn| (gerrorn, ERRORS)),
            Register::CmdqBase => self.commands.base.and_then(known),
            Register::CmdqProd => self.commands.prod.and_then(known),
            Register::CmdqCons => self.commands.cons(value).and_then(known),
            Register::EventqIndex | Register::Fixed(_) | Register::Other => None,
        };
        let (expected, mask) = expected?;
        differs("viommu/register", (part.of(expected), part.of(mask)), value)
    }

    /// The SMMU was turned off, and says so: all of it is known again.
    fn found_again(&mut self, part: Part<Register>, value: u64) {
        if part.register == Register::Cr0Ack && value == 0 && self.smmu == Enable::Soon(false) {
            let words = std::mem::take(&mut self.words);
            let new = Self::new(self.frame, self.sid_bits as u8, self.features);
            let commands = Commands::unknown();
            let (remembered, failed) = (std::mem::take(&mut self.remembered), self.failed);
            *self =
                Self { kept: [None; KEPT], failed, commands, remembered, words, found_again: true, ..new };
        }
    }

    fn write(&mut self, part: Part<Register>, value: u64, at: At<'_>) -> Vec<Effect> {
        if self.lost {
            if part.register == Register::Cr0 {
                self.asked(value);
            }
            return Vec::new();
        }
        let put = |old: Option<u64>, mask: u64| part.put(old, value).map(|new| new & mask);
        match part.register {
            Register::Cr0 => return self.enable(value & (SMMUEN | EVENTQEN | CMDQEN), at),
            Register::Kept(kept) if self.cr0() & kept.guard == 0 => {
                self.kept[kept.place] = put(self.kept[kept.place], kept.bits);
            }
            Register::CmdqBase if self.held.cmdq.is_none() => {
                self.commands.base = put(self.commands.base, QUEUE_BASE);
            }
            Register::CmdqCons if self.held.cmdq.is_none() => self.commands.set_cons(value),
            Register::CmdqProd => {
                self.commands.set_prod(value);
                self.work(at);
            }
            Register::EventqIndex => {
                self.events_at_zero = value == 0 && self.held.eventq.is_none();
                self.told &= self.events_at_zero;
            }
            Register::Gerrorn => {
                self.commands.acknowledge(value);
                self.work(at);
            }
            _ => {}
        }
        Vec::new()
    }

    /// CR0.
    const fn cr0(&self) -> u64 {
        let smmu = match self.smmu {
            Enable::On | Enable::Soon(true) => SMMUEN,
            Enable::Off | Enable::Soon(false) => 0,
        };
        let eventq = if self.held.eventq.is_some() { EVENTQEN } else { 0 };
        let cmdq = if self.held.cmdq.is_some() { CMDQEN } else { 0 };
        smmu | eventq | cmdq
    }

    /// CR0ACK, and which bits of it are known.
    fn acknowledgement(&self) -> Option<(u64, u64)> {
        let open = matches!(self.smmu, Enable::Soon(_)) && self.left > 0;
        let mask = if open { !SMMUEN } else { u64::MAX };
        Some((self.cr0(), mask))
    }

    /// CR0ACK was read as `value`: what was to be soon may be now.
    fn acknowledged(&mut self, value: u64) {
        if let Enable::Soon(on) = self.smmu
            && (value & SMMUEN != 0) == on
        {
            self.smmu = if on { Enable::On } else { Enable::Off };
            // Entries were read one by one meanwhile.
            self.unknown = on;
        }
    }
}
