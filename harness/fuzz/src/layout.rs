//! Where the hostile host keeps its things (bytes from the start of RAM), and where it must not reach.
//!
//! The test host's own image is no target: it would only break itself.

use parallax_addr::PAGE_SIZE;
use parallax_trace::{Base, Expr, Symbol};

use crate::act::{at, number, ram, smmu};
use crate::random::Random;

/// A page that is donated at the beginning, with known contents, and never returned.
pub(super) const CANARY: u64 = 0x4f0_0000;
/// What it holds: the u64 repeated.
pub(super) const CANARY_WORD: u64 = 0x5afe_c0de_d65f_03c0;
/// Pages that devices reach for.
pub(super) const TARGETS: Pages = Pages { base: 0x500_0000, count: 32 };
/// Pages of queues and tables.
pub(super) const STRUCTURES: Pages = Pages { base: 0x600_0000, count: 64 };
/// Pages that only [`super::service`] uses.
pub(super) const OURS: u64 = 0x700_0000;

/// Pages beside each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pages {
    pub(super) base: u64,
    pub(super) count: u64,
}

impl Pages {
    /// One of them.
    pub(super) fn any(self, random: &mut Random) -> u64 {
        self.base + random.below(self.count) * PAGE_SIZE
    }

    /// The frame of one of them, counted from the start of RAM.
    pub(super) fn any_frame(self, random: &mut Random) -> u64 {
        self.any(random) / PAGE_SIZE
    }
}

/// An address that is not the host's: page aligned, in the image, the pool, a donated page, among registers, behind
/// RAM, or anywhere.
pub(super) fn forbidden(random: &mut Random) -> Expr {
    match random.below(16) {
        0..=3 => at(Symbol::Hyp, random.below(0x20) * PAGE_SIZE),
        4..=7 => at(Symbol::Pool, random.below(0x200) * PAGE_SIZE),
        8..=10 => ram(CANARY),
        11 => smmu(random.below(0x20) * PAGE_SIZE),
        12 => {
            Expr { base: Some(Base { symbol: Symbol::Ram, end: true }), offset: random.below(16) * PAGE_SIZE }
        }
        13 => number(random.any() & !0xfff),
        14 => number(0),
        // The pages before the hypervisor's: what begins there in order may end in it.
        _ => at(Symbol::Hyp, (random.below(32) * PAGE_SIZE).wrapping_neg()),
    }
}

/// An address in memory that is not the host's, to be read, written and executed.
pub(super) fn guarded(random: &mut Random) -> Expr {
    let offset = random.below(0x1ff) * 8;
    match random.below(4) {
        0 => at(Symbol::Hyp, random.below(0x20) * PAGE_SIZE + offset),
        1 => at(Symbol::Pool, random.below(0x200) * PAGE_SIZE + offset),
        _ => ram(CANARY + offset),
    }
}

/// A page of STRUCTURES, now and then one that is forbidden.
pub(super) fn structure(random: &mut Random) -> u64 {
    STRUCTURES.any(random)
}
