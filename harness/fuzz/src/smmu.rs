//! The SMMU as a hostile host sets it up: in order, with one thing wrong, or moved while it runs (IHI 0070, 6.3).

use parallax_addr::PAGE_SIZE;
use parallax_trace::Expr;

use crate::act::{Act, Class, Tells, number, physical, plus, ram, smmu};
use crate::entries;
use crate::layout;
use crate::random::Random;

/// Offsets of registers.
pub(super) mod reg {
    pub(crate) const CR0: u64 = 0x20;
    pub(crate) const CR0ACK: u64 = 0x24;
    pub(crate) const GERROR: u64 = 0x60;
    pub(crate) const GERRORN: u64 = 0x64;
    pub(crate) const STRTAB_BASE: u64 = 0x80;
    pub(crate) const STRTAB_BASE_CFG: u64 = 0x88;
    pub(crate) const CMDQ_BASE: u64 = 0x90;
    pub(crate) const CMDQ_PROD: u64 = 0x98;
    pub(crate) const CMDQ_CONS: u64 = 0x9c;
    pub(crate) const EVENTQ_BASE: u64 = 0xa0;
    pub(crate) const EVENTQ_PROD: u64 = 0x1_00a8;
    pub(crate) const EVENTQ_CONS: u64 = 0x1_00ac;
}

/// Registers that there are, as offset and size (bytes).
pub(super) const REGISTERS: [(u64, u64); 24] = [
    (0x0, 4),
    (0x4, 4),
    (0xc, 4),
    (0x14, 4),
    (0x18, 4),
    (reg::CR0, 4),
    (reg::CR0ACK, 4),
    (0x28, 4),
    (0x2c, 4),
    (0x44, 4),
    (0x50, 4),
    (0x54, 4),
    (reg::GERROR, 4),
    (reg::GERRORN, 4),
    (0x68, 8),
    (0xb0, 8),
    (0xc0, 8),
    (reg::STRTAB_BASE, 8),
    (reg::STRTAB_BASE_CFG, 4),
    (reg::CMDQ_BASE, 8),
    (reg::CMDQ_CONS, 4),
    (reg::EVENTQ_BASE, 8),
    (reg::EVENTQ_PROD, 4),
    (reg::EVENTQ_CONS, 4),
];

/// A stream table of the host's: where the first 256 entries that there are begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    /// Of the entries (bytes from the start of RAM).
    pub(super) entries: u64,
    /// How many of them lie there.
    pub(super) count: u64,
    /// The level-1 descriptor, of a two-level table.
    pub(super) descriptor: Option<u64>,
}

/// What the hostile host remembers of its SMMU. It may be wrong: what it did may have been refused.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// The command queue: offset in RAM, and log2 of the number of its commands.
    pub(super) queue: (u64, u32),
    /// CMDQ_PROD.
    pub(super) prod: u64,
    /// The event queue's page.
    pub(super) events: u64,
    pub(super) table: Table,
    /// Pages of a context descriptor and of its table.
    pub(super) context: (u64, u64),
    /// GERROR, as last read.
    pub(super) errors: u64,
    /// CMDQ_CONS, as last read.
    pub(super) cons: u64,
}

/// A write of `value` to a register.
pub(super) fn write(class: Class, offset: u64, size: u64, value: Expr) -> Act {
    Act::store(class, smmu(offset), size, value)
}

/// A write to CR0, and what came of it.
pub(super) fn enable(class: Class, cr0: u64) -> [Act; 2] {
    [
        write(class, reg::CR0, 4, number(cr0)),
        Act::load(class, smmu(reg::CR0ACK), 4).telling(Tells::Enabled(cr0)),
    ]
}

/// CR0, and more often than not everything that there is.
pub(super) fn some_cr0(random: &mut Random) -> u64 {
    random.weighted(&[(8, 0xd), (2, 9), (1, 0xc), (1, 5), (1, 8), (1, 4), (1, 1), (1, 0xffff_ffff)])
}

impl View {
    /// Before anything is set up.
    pub(super) fn new(random: &mut Random) -> Self {
        let table = Table { entries: layout::structure(random), count: 16, descriptor: None };
        Self {
            queue: (layout::structure(random), 4),
            prod: 0,
            events: layout::structure(random),
            table,
            context: (layout::structure(random), layout::structure(random)),
            errors: 0,
            cons: 0,
        }
    }

    /// Turns everything off and sets it up anew; every second time with something wrong in one place.
    pub(super) fn set_up(&mut self, random: &mut Random, acts: &mut Vec<Act>) {
        let class = Class::Setup;
        let wrong = if random.percent(50) { random.below(6) } else { 6 };
        let base = |random: &mut Random, number: u64, right: Expr| {
            if wrong == number { plus(layout::forbidden(random), right.offset & 0x1f) } else { right }
        };
        *self = Self { errors: self.errors, ..Self::new(random) };
        self.queue.1 = random.below(10) as u32;
        // Address bits below the queue's size count as zero.
        let named = self.queue.0;
        self.queue.0 &= !((16 << self.queue.1) - 1);
        acts.extend(enable(class, 0));
        acts.push(write(class, reg::GERRORN, 4, number(self.errors)));
        let queue = base(random, 0, ram(named | u64::from(self.queue.1)));
        acts.push(write(class, reg::CMDQ_BASE, 8, queue));
        acts.push(write(class, reg::CMDQ_CONS, 4, number(0)));
        acts.push(write(class, reg::CMDQ_PROD, 4, number(0)));
        let size = random.below(10);
        let events = base(random, 1, ram(self.events | size));
        acts.push(write(class, reg::EVENTQ_BASE, 8, events));
        acts.push(write(class, reg::EVENTQ_PROD, 4, number(0)));
        acts.push(write(class, reg::EVENTQ_CONS, 4, number(0)));
        let root = self.tables(random, wrong == 5, acts);
        let root = base(random, 2, ram(root));
        acts.push(write(class, reg::STRTAB_BASE, 8, root));
        entries::context(random, self.context, wrong == 3, acts);
        for stream in [8, 16] {
            let entry = entries::entry(random, self.context.0, wrong != 4);
            entries::store(class, self.entry(stream), &entry, acts);
        }
        acts.extend(enable(class, some_cr0(random)));
    }

    /// A stream table of either format, with a SPLIT or Span that is reserved if `odd`, and STRTAB_BASE_CFG. Gives the page of its root.
    fn tables(&mut self, random: &mut Random, odd: bool, acts: &mut Vec<Act>) -> u64 {
        let class = Class::Setup;
        let entries = self.table.entries;
        let (config, root) = if !odd && random.percent(60) {
            let log2 = 3 + random.below(5);
            self.table.count = 1 << log2;
            (log2, entries)
        } else {
            let (split, log2) = (random.pick(&[6, 8, 10]), 4 + random.below(13));
            let span = 4 + random.below(split - 2);
            let (split, span) = match if odd { random.below(3) } else { 3 } {
                0 => (random.pick(&[0, 7, 9, 31]), span),
                1 => (split, split + 2),
                2 => (split, random.below(32)),
                _ => (split, span),
            };
            let root = layout::structure(random);
            self.table.count = 1 << span.saturating_sub(1).min(7);
            self.table.descriptor = Some(root);
            // The rest of the level-1 table is whatever stood there.
            acts.push(Act::store(class, ram(root), 8, number(physical(entries) | span)));
            (1 << 16 | split << 6 | log2, root)
        };
        acts.push(write(class, reg::STRTAB_BASE_CFG, 4, number(config)));
        root
    }

    /// Where the entry of `stream` is, or would be (bytes from the start of RAM).
    pub(super) const fn entry(&self, stream: u64) -> u64 {
        self.table.entries + stream * 64
    }

    /// Where the next command goes (bytes from the start of RAM).
    pub(super) const fn slot(&self) -> u64 {
        self.queue.0 + (self.prod & ((1 << self.queue.1) - 1)) * 16
    }

    /// One command further.
    pub(super) const fn advance(&mut self) {
        self.prod = (self.prod + 1) & ((2 << self.queue.1) - 1);
    }

    /// CMDQ_CONS of a queue that took everything up to CMDQ_PROD.
    const fn is_stopped(&self) -> bool {
        self.cons & 0xf_ffff != self.prod
    }

    /// Acknowledges errors; commands that were refused become SYNCs first.
    pub(super) fn go_on(&mut self, acts: &mut Vec<Act>) {
        let class = Class::Commands;
        if self.is_stopped() {
            let size = 1 << self.queue.1;
            for index in 0..size.min(8) {
                let slot = (self.cons & 0xf_ffff).wrapping_add(index) & (size - 1);
                acts.push(Act::store(class, ram(self.queue.0 + slot * 16), 8, number(0x46)));
            }
        }
        acts.push(write(class, reg::GERRORN, 4, number(self.errors)));
    }

    /// Pages that it uses, as offsets in RAM.
    pub(super) fn pages(&self) -> [u64; 5] {
        let root = self.table.descriptor.unwrap_or(self.table.entries);
        [self.queue.0, self.events, self.table.entries, root, self.context.0].map(|at| at & !(PAGE_SIZE - 1))
    }
}
