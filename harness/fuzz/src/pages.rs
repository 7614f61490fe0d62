//! Attacks by calls, by accesses and by devices: on pages, with the SMMU or without.

use parallax_abi::hypercall::{BASE, HYP_DONATE_HOST};
use parallax_addr::PAGE_SIZE;
use parallax_trace::{Expr, Symbol};

use crate::act::{Act, Class, at, number, ram, smmu};
use crate::layout::{self, CANARY, STRUCTURES, TARGETS};
use crate::random::Random;

/// PSCI function ids, SMC32 and SMC64, end in 0 to 31.
const PSCI: u64 = 0x8400_0000;
const SMC64: u64 = 1 << 30;
/// CPU_SUSPEND, CPU_OFF, SYSTEM_OFF, SYSTEM_RESET, SYSTEM_SUSPEND, SYSTEM_RESET2: a host may stop itself.
const STOPS: [u64; 6] = [1, 2, 8, 9, 14, 18];

/// A frame: one that may change hands, or one that must not.
fn frame(random: &mut Random) -> Expr {
    match random.below(20) {
        0..=9 => ram(TARGETS.any_frame(random)),
        10..=13 => ram(STRUCTURES.any_frame(random)),
        14 => at(Symbol::Hyp, random.below(0x20)),
        15 => at(Symbol::Pool, random.below(0x200)),
        16 => smmu(random.below(0x20)),
        17 => at(Symbol::Mmio("uart".to_owned()), 0),
        18 => ram(CANARY / PAGE_SIZE),
        _ => number(random.any() >> random.below(60)),
    }
}

/// How many: mostly one, at times more than there are.
fn count(random: &mut Random) -> u64 {
    match random.below(12) {
        0..=6 => 1,
        7..=9 => 2 + random.below(7),
        10 => random.pick(&[0, 512]),
        // Never so many that it is everything up to the host's own image, and no more.
        _ => random.any() | 1 << 20,
    }
}

/// Hypercalls.
pub(super) fn hypercalls(random: &mut Random, acts: &mut Vec<Act>) {
    const WORDS: [&str; 10] = [
        "host_share_hyp",
        "host_share_hyp",
        "host_unshare_hyp",
        "hyp_pin_shared_mem",
        "hyp_unpin_shared_mem",
        "host_donate_hyp",
        "host_donate_hyp",
        "hyp_donate_host",
        "host_donate_hyp_mmio",
        "hyp_donate_host_mmio",
    ];
    let class = Class::Hypercalls;
    for _ in 0..2 + random.below(8) {
        let word = random.pick(&WORDS);
        let frame = frame(random);
        // The canary would come back, as it may.
        if word == "hyp_donate_host" && frame == ram(CANARY / PAGE_SIZE) {
            continue;
        }
        // Operations of a single page take no number.
        acts.push(Act::pages(class, word, frame.clone(), count(random)));
        // Three in four of what was given comes back.
        if word == "host_donate_hyp" && frame != ram(CANARY / PAGE_SIZE) && random.percent(75) {
            acts.push(Act::pages(class, "hyp_donate_host", frame, 1));
        } else if word == "host_share_hyp" && random.percent(60) {
            acts.push(Act::new(class, "host_unshare_hyp", &[frame]));
        }
    }
    if random.percent(40) {
        acts.push(Act::new(class, "hypercall", &call(random)));
    }
}

/// Whether a call with this number stops the host by its own will.
fn stops(id: u64) -> bool {
    id & 0xffff_ffff & !(SMC64 | 0x1f) == PSCI && STOPS.contains(&(id & 0x1f))
}

/// A number and six arguments of any call.
pub(super) fn call(random: &mut Random) -> Vec<Expr> {
    let id = loop {
        let id = match random.below(4) {
            0..=1 => BASE | random.below(0x200),
            2 => PSCI | random.below(0x20) | random.pick(&[0, SMC64]),
            _ => random.any() >> random.pick(&[0, 0, 32]),
        };
        // Arguments are anything, and the canary is a page like any other.
        if !stops(id) && id != HYP_DONATE_HOST {
            break id;
        }
    };
    let mut args = vec![number(id)];
    for _ in 0..6 {
        args.push(match random.below(3) {
            0 => number(random.below(16)),
            1 => layout::forbidden(random),
            _ => number(random.any()),
        });
    }
    args
}

/// Secure monitor calls, and the same by `hvc`.
pub(super) fn calls(random: &mut Random, acts: &mut Vec<Act>) {
    for _ in 0..1 + random.below(4) {
        let word = random.pick(&["smc", "smc", "hypercall"]);
        acts.push(Act::new(Class::Calls, word, &call(random)));
    }
}

/// Loads, stores, branches and walks.
pub(super) fn accesses(random: &mut Random, acts: &mut Vec<Act>) {
    let class = Class::Accesses;
    for _ in 0..2 + random.below(8) {
        let guarded = layout::guarded(random);
        let offset = guarded.offset & !(PAGE_SIZE - 1);
        let page = Expr { offset, ..guarded.clone() };
        acts.push(match random.below(14) {
            0..=1 => Act::load(class, guarded, random.pick(&[1, 2, 4, 8])),
            2..=3 => Act::store(class, guarded, random.pick(&[1, 2, 4, 8]), number(random.any())),
            4 => Act::new(class, "host_read_pair", &[guarded]),
            5 => Act::new(class, "host_write_pair", &[guarded, number(1), number(2)]),
            6 => Act::new(class, "host_atomic", &[guarded]),
            7 => Act::new(class, "host_swap", &[guarded, number(random.any())]),
            8 => Act::new(class, "host_exec", &[guarded]),
            9 => Act::new(class, "host_walk", &[page]),
            // Pages that may have changed hands.
            10 => {
                Act::store(class, ram(TARGETS.any(random) + 8 * random.below(512)), 8, number(random.any()))
            }
            11 => Act::load(class, ram(TARGETS.any(random) + 8 * random.below(512)), 8),
            // Anywhere in memory, and anywhere at all.
            12 => Act::load(class, ram(random.below(0x1000_0000) & !7), 8),
            _ => Act::load(class, number(random.any() >> random.pick(&[16, 20, 30]) & !7), 8),
        });
    }
}

/// A device reads or writes; `value` is like no other that is written.
pub(super) fn dma(random: &mut Random, value: u64, acts: &mut Vec<Act>) {
    let stream = random.pick(&[8, 8, 16]);
    let target = match random.below(10) {
        0..=4 => ram(TARGETS.any(random) + 8 * random.below(512)),
        5..=7 => layout::guarded(random),
        8 => smmu(random.below(0x2_0000) & !7),
        // Where stage 1 may show RAM or registers once more.
        _ => number(0x1_0000_0000 | random.below(0x8000_0000) & !7),
    };
    // Within a page, or across a border.
    let length = random.pick(&[8, 8, 16, 64, 4096]);
    let class = Class::Dma;
    acts.push(if random.percent(60) {
        Act::new(class, "dma_write", &[number(stream), target, number(length), number(value)])
    } else {
        Act::new(class, "dma_read", &[number(stream), target, number(length)])
    });
}
