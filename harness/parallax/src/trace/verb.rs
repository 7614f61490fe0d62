//! The operations that a trace can name: their arguments, and the request that each becomes.

use parallax_abi::hypercall;
use parallax_abi::mailbox::{Request, op};

/// What a DMA write puts into memory when the trace does not say.
pub const DMA_PATTERN: u64 = 0xa5a5_a5a5_a5a5_a5a5;

/// What an argument stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A page frame number: an offset from a symbol counts frames.
    Frame,
    /// An intermediate physical address: an offset from a symbol counts bytes.
    Address,
    /// How many pages.
    Count,
    /// Any 64-bit number.
    Value,
    /// Size of a CPU's access: 1, 2, 4 or 8 bytes.
    Size,
    /// Length of a device's access: 8 to 4096 bytes.
    Length,
    /// A StreamID.
    Stream,
}

/// An argument of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its key.
    pub name: &'static str,
    /// What it stands for.
    pub kind: Kind,
    /// What it is when the trace leaves it out; `None` if it must be there.
    pub default: Option<u64>,
}

/// How an operation is performed, and how its result reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A hypercall with this id; the arguments follow in x1, x2.
    Hypercall(u64),
    /// A hypercall whose id is the first argument.
    AnyHypercall,
    /// A secure monitor call whose id is the first argument.
    Smc,
    /// An access of a CPU: a number of [`op`].
    Cpu(u64),
    /// An access of a device.
    DmaRead,
    /// An access of a device.
    DmaWrite,
    /// Nothing is done.
    Nop,
    /// Nothing is done; the golden gets the whole state.
    Snapshot,
}

/// An operation that a trace can name.
#[derive(Debug, PartialEq, Eq)]
pub struct Verb {
    /// Its name.
    pub name: &'static str,
    /// Its arguments, in canonical order.
    pub params: &'static [Param],
    /// What it does.
    pub action: Action,
}

const fn required(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, default: None }
}

const fn optional(name: &'static str, kind: Kind, default: u64) -> Param {
    Param { name, kind, default: Some(default) }
}

const PFN: Param = required("pfn", Kind::Frame);
const NR: Param = optional("nr", Kind::Count, 1);
const IPA: Param = required("ipa", Kind::Address);
const SIZE: Param = optional("size", Kind::Size, 8);
const SID: Param = required("sid", Kind::Stream);
const LEN: Param = optional("len", Kind::Length, 8);
/// Whether the test host's own mapping is Normal memory even where there is none.
const NORMAL: Param = optional("normal", Kind::Value, 0);
/// CPU 1 writes `value` and `second` in turn to `ipa`, while CPU 0 stores 4 bytes, `data`, to `at`.
const RACE: &[Param] = &[
    IPA,
    required("value", Kind::Value),
    required("second", Kind::Value),
    required("at", Kind::Address),
    required("data", Kind::Value),
    optional("seed", Kind::Value, 1),
];
const CALL: &[Param] = &[
    required("id", Kind::Value),
    optional("x1", Kind::Value, 0),
    optional("x2", Kind::Value, 0),
    optional("x3", Kind::Value, 0),
    optional("x4", Kind::Value, 0),
    optional("x5", Kind::Value, 0),
    optional("x6", Kind::Value, 0),
];

const fn verb(name: &'static str, params: &'static [Param], action: Action) -> Verb {
    Verb { name, params, action }
}

/// Every operation.
pub static VERBS: &[Verb] = &[
    verb("host_share_hyp", &[PFN], Action::Hypercall(hypercall::HOST_SHARE_HYP)),
    verb("host_unshare_hyp", &[PFN], Action::Hypercall(hypercall::HOST_UNSHARE_HYP)),
    verb("hyp_pin_shared_mem", &[PFN, NR], Action::Hypercall(hypercall::HYP_PIN_SHARED_MEM)),
    verb("hyp_unpin_shared_mem", &[PFN, NR], Action::Hypercall(hypercall::HYP_UNPIN_SHARED_MEM)),
    verb("host_donate_hyp", &[PFN, NR], Action::Hypercall(hypercall::HOST_DONATE_HYP)),
    verb("hyp_donate_host", &[PFN, NR], Action::Hypercall(hypercall::HYP_DONATE_HOST)),
    verb("host_donate_hyp_mmio", &[PFN, NR], Action::Hypercall(hypercall::HOST_DONATE_HYP_MMIO)),
    verb("hyp_donate_host_mmio", &[PFN, NR], Action::Hypercall(hypercall::HYP_DONATE_HOST_MMIO)),
    verb("hypercall", CALL, Action::AnyHypercall),
    verb("smc", CALL, Action::Smc),
    verb("host_read", &[IPA, SIZE, NORMAL], Action::Cpu(op::READ)),
    verb("host_write", &[IPA, SIZE, required("value", Kind::Value), NORMAL], Action::Cpu(op::WRITE)),
    verb("host_exec", &[IPA], Action::Cpu(op::EXEC)),
    verb("host_read_pair", &[IPA], Action::Cpu(op::READ_PAIR)),
    verb(
        "host_write_pair",
        &[IPA, required("value", Kind::Value), required("second", Kind::Value)],
        Action::Cpu(op::WRITE_PAIR),
    ),
    verb("host_swap", &[IPA, required("value", Kind::Value)], Action::Cpu(op::SWAP)),
    verb("host_race", RACE, Action::Cpu(op::RACE)),
    verb("host_walk", &[IPA], Action::Cpu(op::WALK)),
    verb("host_atomic", &[IPA], Action::Cpu(op::ATOMIC)),
    verb("dma_read", &[SID, IPA, LEN], Action::DmaRead),
    verb("dma_write", &[SID, IPA, LEN, optional("value", Kind::Value, DMA_PATTERN)], Action::DmaWrite),
    verb("nop", &[], Action::Nop),
    verb("snapshot", &[], Action::Snapshot),
];

impl Verb {
    /// The operation with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<&'static Self> {
        VERBS.iter().find(|verb| verb.name == name)
    }

    /// The request that CPU `cpu` is sent; `args` are the values of [`Verb::params`], in their order.
    #[must_use]
    pub fn request(&self, cpu: u64, args: &[u64]) -> Request {
        let mut slots = [0; 7];
        let (op, lead): (u64, &[u64]) = match &self.action {
            Action::Hypercall(id) => (op::HYPERCALL, std::slice::from_ref(id)),
            Action::AnyHypercall => (op::HYPERCALL, &[]),
            Action::Smc => (op::SMC, &[]),
            Action::Cpu(op) => (*op, &[]),
            Action::DmaRead => (op::DMA_READ, &[]),
            Action::DmaWrite => (op::DMA_WRITE, &[]),
            Action::Nop | Action::Snapshot => (op::NOP, &[]),
        };
        for (slot, value) in slots.iter_mut().zip(lead.iter().chain(args)) {
            *slot = *value;
        }
        Request { cpu, op, args: slots }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_land_where_the_mailbox_expects_them() {
        let request = |name: &str, args: &[u64]| Verb::from_name(name).unwrap().request(2, args);
        let donate = request("host_donate_hyp", &[0x40020, 4]);
        assert_eq!((donate.cpu, donate.op), (2, op::HYPERCALL));
        assert_eq!(donate.args, [hypercall::HOST_DONATE_HYP, 0x40020, 4, 0, 0, 0, 0]);
        assert_eq!(request("host_write", &[0x1000, 4, 7, 1]).args[..4], [0x1000, 4, 7, 1]);
        assert_eq!(request("dma_write", &[8, 0x1000, 16, 7]).args[..4], [8, 0x1000, 16, 7]);
        assert_eq!(request("hypercall", &[5, 1, 2, 3, 4, 5, 6]).args, [5, 1, 2, 3, 4, 5, 6]);
        assert_eq!(request("snapshot", &[]).op, op::NOP);
    }

    #[test]
    fn names_are_distinct() {
        for verb in VERBS {
            assert!(std::ptr::eq(Verb::from_name(verb.name).unwrap(), verb));
        }
    }
}
