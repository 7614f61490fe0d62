//! One hostile operation, and the short ways to write it down.

use parallax_trace::spec::RAM_BASE;
use parallax_trace::{Base, Expr, Op, Outcome, Symbol};

/// What kind of attack an operation belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The SMMU's registers at every offset, in every width, by every kind of instruction.
    Registers,
    /// Setting the SMMU up, in order or with one thing wrong.
    Setup,
    /// Commands, known and unknown.
    Commands,
    /// Stream table entries and context descriptors.
    Entries,
    /// Stream tables of any place, format and size.
    Geometry,
    /// Queues of any place and size.
    Queues,
    /// Memory rewritten by another CPU while the hypervisor copies it.
    Races,
    /// Giving away what the SMMU uses.
    InUse,
    /// Hypercalls with any number and any arguments.
    Hypercalls,
    /// Secure monitor calls.
    Calls,
    /// Loads, stores, branches and walks where the host has nothing to look for.
    Accesses,
    /// The same by a device.
    Dma,
    /// The ITS and the redistributors: registers, commands, and where their tables are.
    Lpis,
    /// Masters that no SMMU holds.
    Masters,
    /// What a host in order does, and what must come of it: the hypervisor is alive, and serves.
    Service,
}

impl Class {
    /// Every class, in the order of tables.
    pub const ALL: [Self; 15] = [
        Self::Registers,
        Self::Setup,
        Self::Commands,
        Self::Entries,
        Self::Geometry,
        Self::Queues,
        Self::Races,
        Self::InUse,
        Self::Hypercalls,
        Self::Calls,
        Self::Accesses,
        Self::Dma,
        Self::Lpis,
        Self::Masters,
        Self::Service,
    ];

    /// Its name in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registers => "registers",
            Self::Setup => "setup",
            Self::Commands => "commands",
            Self::Entries => "entries",
            Self::Geometry => "geometry",
            Self::Queues => "queues",
            Self::Races => "races",
            Self::InUse => "in use",
            Self::Hypercalls => "hypercalls",
            Self::Calls => "calls",
            Self::Accesses => "accesses",
            Self::Dma => "dma",
            Self::Lpis => "lpis",
            Self::Masters => "masters",
            Self::Service => "service",
        }
    }
}

/// What the result of an operation tells of the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tells {
    /// Nothing.
    Nothing,
    /// CR0ACK, after CR0 was written with this.
    Enabled(u64),
    /// CMDQ_CONS, after so many commands were added up to this CMDQ_PROD.
    Taken(u64, u64),
    /// GERROR.
    Errors,
}

/// An operation.
#[derive(Clone, Debug)]
pub(super) struct Act {
    pub(super) class: Class,
    pub(super) tells: Tells,
    pub(super) op: Op,
}

impl Act {
    /// The operation called `word` with `args`, of which missing ones have their defaults.
    pub(super) fn new(class: Class, word: &str, args: &[Expr]) -> Self {
        Self { class, tells: Tells::Nothing, op: op(word, args) }
    }

    /// A store of `size` bytes.
    pub(super) fn store(class: Class, ipa: Expr, size: u64, value: Expr) -> Self {
        Self::new(class, "host_write", &[ipa, number(size), value])
    }

    /// A load of `size` bytes.
    pub(super) fn load(class: Class, ipa: Expr, size: u64) -> Self {
        Self::new(class, "host_read", &[ipa, number(size)])
    }

    /// A hypercall on `nr` pages.
    pub(super) fn pages(class: Class, word: &str, pfn: Expr, nr: u64) -> Self {
        Self::new(class, word, &[pfn, number(nr)])
    }

    /// With this result, or it is a finding.
    pub(super) fn expecting(mut self, outcome: Outcome) -> Self {
        self.op.expect = Some(outcome);
        self
    }

    /// On CPU `cpu`.
    pub(super) const fn on(mut self, cpu: u64) -> Self {
        self.op.cpu = cpu;
        self
    }

    /// Whose result is worth knowing.
    pub(super) const fn telling(mut self, tells: Tells) -> Self {
        self.tells = tells;
        self
    }
}

/// The operation called `word` with `args`, of which missing ones have their defaults.
pub(super) fn op(word: &str, args: &[Expr]) -> Op {
    let row = parallax_ops::row(word).expect("the names in this crate are those of the trace grammar");
    let given = args.iter().cloned().map(Some).chain(std::iter::repeat(None));
    let args = row.params.iter().zip(given);
    let args =
        args.map(|(param, given)| given.unwrap_or_else(|| Expr::number(param.default.unwrap_or_default())));
    Op { line: 0, cpu: 0, word: None, row, args: args.collect(), expect: None, at_once: None }
}

/// Done, without a word on the value.
pub(super) const DONE: Outcome = Outcome::Ok { value: None };

/// A number.
pub(super) const fn number(value: u64) -> Expr {
    Expr::number(value)
}

/// `offset` from the beginning of a place.
pub(super) const fn at(symbol: Symbol, offset: u64) -> Expr {
    Expr { base: Some(Base { symbol, end: false }), offset }
}

/// An address in RAM (bytes, or frames where an argument counts those).
pub(super) const fn ram(offset: u64) -> Expr {
    at(Symbol::Ram, offset)
}

/// An address among the SMMU's registers.
pub(super) fn smmu(offset: u64) -> Expr {
    at(Symbol::Mmio("smmu".to_owned()), offset)
}

/// `expr` with `offset` added.
pub(super) fn plus(mut expr: Expr, offset: u64) -> Expr {
    expr.offset = expr.offset.wrapping_add(offset);
    expr
}

/// The physical address of `offset` in RAM.
pub(super) const fn physical(offset: u64) -> u64 {
    RAM_BASE.get() + offset
}
