//! The host's command queue (IHI 0070, chapter 4; docs/viommu.md).

use parallax_addr::{InputAddr, PhysAddr, Span};
use parallax_smmu::{Command, CommandKind};
use parallax_vmsa::PhysMem;

use super::issued::is_ranged;
use super::registers::{CERROR_ILL, CMDQ_ERR, ERRORS, INDEX};
use super::stage1::Forget;
use super::{BUDGET, Enable, PROGRESS, Viommu};
use crate::holding::At;
use crate::words::Fetch;

/// Most commands that one access performs.
const COMMANDS: u64 = 64;
/// IDR1.CMDQS and IDR1.EVENTQS: log2 of the largest queues.
const LARGEST: u32 = 12;

/// The queue as it stands.
#[derive(Clone, Debug)]
pub(super) struct Commands {
    pub(super) base: Option<u64>,
    pub(super) prod: Option<u64>,
    gerrorn: Option<u64>,
    cons: Option<u64>,
    gerror: Option<u64>,
    /// Whether CMDQ_CONS.ERR says CERROR_ILL.
    error: Option<bool>,
    /// It is not known how far it came: what is read of CMDQ_CONS tells it.
    behind: bool,
    /// How much work may be left until it is where CMDQ_PROD says.
    left: u64,
}

impl Default for Commands {
    fn default() -> Self {
        Self {
            base: Some(0),
            prod: Some(0),
            gerrorn: Some(0),
            cons: Some(0),
            gerror: Some(0),
            error: Some(false),
            behind: false,
            left: 0,
        }
    }
}

/// What a command does to what is known here.
enum Effect {
    Nothing,
    Configure(u32, u64),
    Forget(Forget),
    Refused,
}

/// The memory of a queue of records of 2^`shift` bytes whose base register is `base`.
fn memory(base: u64, shift: u32) -> Span<PhysAddr> {
    let size = 1_u64 << ((base as u32 & 0x1f).min(LARGEST) + shift);
    Span::new(PhysAddr::new(base & 0x000f_ffff_ffff_ffe0).align_down(size.max(32)), size)
}

pub(super) fn memory_of_commands(base: u64) -> Span<PhysAddr> {
    memory(base, 4)
}

pub(super) fn memory_of_events(base: u64) -> Span<PhysAddr> {
    memory(base, 5)
}

impl Commands {
    /// Of which nothing is known.
    pub(super) const fn unknown() -> Self {
        let (base, prod, gerrorn, cons, gerror, error) = (None, None, None, None, None, None);
        Self { base, prod, gerrorn, cons, gerror, error, behind: false, left: 0 }
    }

    /// Whether it is not known how far it came.
    pub(super) const fn is_behind(&self) -> bool {
        self.behind
    }

    /// CMDQ_PROD is written.
    pub(super) const fn set_prod(&mut self, value: u64) {
        (self.prod, self.left) = (Some(value & INDEX), u64::MAX);
    }

    /// CMDQ_CONS, which was read as `value`; nothing where that tells it.
    pub(super) fn cons(&mut self, value: u64) -> Option<u64> {
        match (self.behind, self.cons, self.error) {
            (false, Some(cons), Some(error)) => Some(cons | if error { CERROR_ILL } else { 0 }),
            _ => {
                self.cons = Some(value & INDEX);
                self.error = Some(value & !INDEX != 0);
                if self.behind && self.error == Some(true) {
                    // It stands at that command, unless the host has acknowledged it: GERROR tells which.
                    self.gerror = None;
                }
                let end = self.wrapped(self.prod);
                self.behind &= self.wrapped(self.cons) != end;
                end.filter(|_| self.behind && self.left == 0 && self.error == Some(false))
            }
        }
    }

    /// GERROR, which was read as `value`; nothing where that tells it.
    pub(super) const fn gerror(&mut self, value: u64) -> Option<u64> {
        if self.gerror.is_none() || self.behind {
            self.gerror = Some(value & CMDQ_ERR);
            return None;
        }
        self.gerror
    }

    /// GERRORN, which was read as `value`; nothing where that tells it.
    pub(super) const fn gerrorn(&mut self, value: u64) -> Option<u64> {
        let known = self.gerrorn;
        self.gerrorn = Some(value & ERRORS);
        known
    }

    /// CMDQ_CONS is written: an error can be taken out of it, and none put in.
    pub(super) const fn set_cons(&mut self, value: u64) {
        self.cons = Some(value & INDEX);
        self.error = Some(false);
    }

    /// GERRORN is written.
    pub(super) const fn acknowledge(&mut self, value: u64) {
        self.gerrorn = Some(value & ERRORS);
        if self.behind {
            // An error may have been there before, or may come.
            (self.gerror, self.left) = (None, u64::MAX);
        }
    }

    /// The queue is turned off: how far it came does not change any more.
    pub(super) const fn stopped_at(&mut self) {
        if self.behind {
            (self.cons, self.error, self.gerror) = (None, None, None);
        }
        self.behind = false;
    }

    /// How many bits an index has, the wrap bit included.
    fn bits(&self) -> Option<u32> {
        self.base.map(|base| (base as u32 & 0x1f).min(LARGEST) + 1)
    }

    fn wrapped(&self, index: Option<u64>) -> Option<u64> {
        Some(index? & ((1 << self.bits()?) - 1))
    }
}

impl Viommu {
    /// Performs commands: what one access does.
    pub(super) fn work(&mut self, at: At<'_>) {
        if self.lost || self.held.cmdq.is_none() {
            return;
        }
        let queue = &self.commands;
        let (Some(base), Some(bits)) = (queue.base, queue.bits()) else { return self.lose() };
        let (Some(gerror), Some(gerrorn)) = (queue.gerror, queue.gerrorn) else { return self.lose() };
        let (Some(mut cons), Some(prod)) = (queue.wrapped(queue.cons), queue.wrapped(queue.prod)) else {
            return self.lose();
        };
        if queue.behind {
            if !matches!(self.smmu, Enable::Soon(_)) {
                self.commands.left = queue.left.saturating_sub(PROGRESS);
            }
            self.unknown = true;
            self.streams.clear();
            return;
        }
        if (gerror ^ gerrorn) & CMDQ_ERR != 0 {
            return;
        }
        // The code of an error, and bits of the index that do not count, stand until a command is taken.
        if cons == prod {
            return;
        }
        if matches!(self.smmu, Enable::Soon(_)) {
            // The streams come first, and may be all that an access does.
            return self.leave(cons);
        }
        self.commands.error = Some(false);
        let (mut done, mut cost) = (0, 0);
        while cons != prod && done < COMMANDS {
            let slot = cons & ((1 << (bits - 1)) - 1);
            let from = memory_of_commands(base).base.wrapping_add(slot * 16);
            let fetch = Fetch::new(&self.words, at.memory, at.view);
            let mut bytes = [0; 16];
            if fetch.read(from, &mut bytes).is_err() {
                return self.lose();
            }
            let command = Command::from_bytes(&bytes);
            match self.effect(&command) {
                Effect::Nothing => {}
                Effect::Forget(what) => self.remembered.forget(what),
                Effect::Configure(first, count) => {
                    cost += self.cost(first, count);
                    if cost > BUDGET {
                        return self.leave(cons);
                    }
                    if self.is_on() {
                        self.configure(first, count, at);
                    }
                }
                Effect::Refused => {
                    self.commands.error = Some(true);
                    self.commands.gerror = Some(gerror ^ CMDQ_ERR);
                    break;
                }
            }
            if let Some(issued) = &mut self.issued {
                issued.push(&command, self.features.ranges);
            }
            cons = (cons + 1) & ((1 << bits) - 1);
            done += 1;
        }
        self.commands.cons = Some(cons);
    }

    /// Commands from number `cons` on are left to the accesses that follow.
    fn leave(&mut self, cons: u64) {
        (self.commands.behind, self.unknown) = (true, true);
        self.streams.clear();
        let all = self.commands.bits().map_or(1, |bits| 1 << bits);
        let count = (self.commands.prod.unwrap_or(0).wrapping_sub(cons)) & (all - 1);
        self.commands.left = count * (BUDGET / COMMANDS + self.cost(0, u64::MAX));
    }

    fn is_on(&self) -> bool {
        self.smmu == Enable::On
    }

    /// What it may take to read the entries of `count` streams from `first` on.
    fn cost(&self, first: u32, count: u64) -> u64 {
        let all = 1_u64 << self.sid_bits;
        let count = count.min(all.saturating_sub(u64::from(first)));
        count * 3 + count.div_ceil(64) * 16
    }

    fn effect(&self, command: &Command) -> Effect {
        let field = |name| command.field(name).unwrap_or(0);
        let sid = field("StreamID") as u32;
        let of_stage1 = |effect| if self.features.stage1 { effect } else { Effect::Refused };
        let ranged = is_ranged(command, self.features.ranges);
        let address = InputAddr::new(field("Address"));
        match command.kind() {
            CommandKind::PrefetchConfig
            | CommandKind::PrefetchAddr
            | CommandKind::CfgiSte
            | CommandKind::CfgiSteRange
            | CommandKind::CfgiCd
            | CommandKind::CfgiCdAll
                if field("SSec") != 0 =>
            {
                Effect::Refused
            }
            CommandKind::PrefetchConfig | CommandKind::PrefetchAddr => Effect::Nothing,
            CommandKind::CfgiSte => Effect::Configure(sid, 1),
            CommandKind::CfgiSteRange => match field("Range") {
                31 => Effect::Configure(0, u64::MAX >> 1),
                range => {
                    let count = 2_u64 << range;
                    Effect::Configure((u64::from(sid) & !(count - 1)) as u32, count)
                }
            },
            CommandKind::CfgiCd | CommandKind::CfgiCdAll => {
                of_stage1(Effect::Forget(Forget::Context(Some(sid))))
            }
            CommandKind::TlbiNhAll => of_stage1(Effect::Forget(Forget::All)),
            CommandKind::TlbiNhAsid => of_stage1(Effect::Forget(Forget::Asid(field("ASID") as u16))),
            CommandKind::TlbiNhVa | CommandKind::TlbiNhVaa if ranged => {
                let (granule, level) = (field("TG"), field("TTL"));
                let nothing = [field("NUM"), field("SCALE"), level] == [0; 3];
                let reserved = nothing || (granule, level) == (0b10, 1);
                // What an SMMU forgets beyond the first address is not followed: it may remember all.
                if reserved { Effect::Refused } else { of_stage1(Effect::Nothing) }
            }
            CommandKind::TlbiNhVa => {
                of_stage1(Effect::Forget(Forget::Address(Some(field("ASID") as u16), address)))
            }
            CommandKind::TlbiNhVaa => of_stage1(Effect::Forget(Forget::Address(None, address))),
            CommandKind::TlbiNsnhAll => Effect::Forget(Forget::All),
            CommandKind::Sync if field("CS") != 3 => Effect::Nothing,
            _ => Effect::Refused,
        }
    }
}
