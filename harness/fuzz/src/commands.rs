//! Commands (IHI 0070, chapter 4): those that a driver gives, and all others.

use parallax_trace::Expr;

use crate::act::{Act, Class, Tells, number, ram, smmu};
use crate::layout;
use crate::random::Random;
use crate::smmu::{View, reg};

/// Opcodes.
const CFGI_STE: u64 = 0x03;
const CFGI_STE_RANGE: u64 = 0x04;
const CFGI_CD: u64 = 0x05;
const CFGI_CD_ALL: u64 = 0x06;
const SYNC: u64 = 0x46;
/// TLBI_NH_ALL, NH_ASID, NH_VA, NH_VAA.
const INVALIDATIONS: [u64; 4] = [0x10, 0x11, 0x12, 0x13];
/// PREFETCH_CONFIG, PREFETCH_ADDR, CFGI_CD, CFGI_CD_ALL, TLBI_NSNH_ALL.
const OTHERS: [u64; 5] = [0x01, 0x02, CFGI_CD, CFGI_CD_ALL, 0x30];
/// TLBI_EL3_ALL, EL2_ALL, EL2_ASID, EL2_VA, EL2_VAA, S12_VMALL, S2_IPA, ATC_INV, PRI_RESP, RESUME, STALL_TERM.
const NOT_THE_HOSTS: [u64; 11] = [0x18, 0x20, 0x21, 0x22, 0x23, 0x28, 0x2a, 0x40, 0x41, 0x44, 0x45];

/// A command's two dwords.
pub(super) type Command = [Expr; 2];

/// CFGI_STE of `stream`.
pub(super) fn configure(stream: u64) -> Command {
    [number(stream << 32 | CFGI_STE), number(1)]
}

/// CFGI_CD or CFGI_CD_ALL of `stream`.
pub(super) fn context(random: &mut Random, stream: u64) -> Command {
    [number(stream << 32 | random.pick(&[CFGI_CD, CFGI_CD_ALL])), number(random.below(2))]
}

/// A stream: one that has a device, one that has an entry, or any.
fn stream(random: &mut Random) -> u64 {
    match random.below(8) {
        0..=3 => random.pick(&[8, 8, 16]),
        4..=5 => random.below(16),
        6 => random.below(1024),
        _ => random.any() >> 32,
    }
}

/// A command that the host may give; its other fields are anything.
fn allowed(random: &mut Random) -> Command {
    let noise = random.any();
    match random.below(10) {
        0..=2 => configure(stream(random)),
        3 => [number(stream(random) << 32 | CFGI_STE_RANGE), number(random.below(10))],
        4 => [number(CFGI_STE_RANGE), number(31)],
        5..=6 => {
            // Any VMID and ASID; half of them with a range.
            let range = if random.percent(50) { noise & (0x1f << 12 | 0x1f << 20) } else { 0 };
            let (granule, hint) = (random.pick(&[0, 1, 3]) << 10, (1 + random.below(3)) << 8);
            let address = random.any() & !0xfff | noise & 1;
            let tail = if range == 0 { address } else { address | granule | hint };
            [number(noise & !0xffff_ffff | random.pick(&INVALIDATIONS) | range), number(tail)]
        }
        7 => [number(stream(random) << 32 | random.pick(&OTHERS)), number(noise & 1)],
        // With an interrupt to be written to memory that is not the host's.
        8 => [number(noise & !0xffff_f3ff | 1 << 12 | SYNC), layout::forbidden(random)],
        _ => [number(SYNC | random.below(3) << 12), number(0)],
    }
}

/// A command that the host may not give.
fn refused(random: &mut Random) -> Command {
    let noise = random.any();
    let first = match random.below(4) {
        0..=1 => noise & !0xff | random.pick(&NOT_THE_HOSTS),
        2 => noise,
        // CS reserved; SSec.
        _ => random.pick(&[SYNC | 3 << 12, CFGI_STE | 1 << 10, CFGI_STE_RANGE | 1 << 10]),
    };
    [number(first), layout::forbidden(random)]
}

/// A command: one in `rare` is none that the host may give.
pub(super) fn command(random: &mut Random, rare: u64) -> Command {
    if random.below(rare) == 0 { refused(random) } else { allowed(random) }
}

/// Puts `command` into the queue, without a word to the SMMU.
pub(super) fn put(view: &mut View, class: Class, [first, second]: &Command, acts: &mut Vec<Act>) {
    acts.push(Act::store(class, ram(view.slot()), 8, first.clone()));
    acts.push(Act::store(class, ram(view.slot() + 8), 8, second.clone()));
    view.advance();
}

/// Tells the SMMU of `count` new commands, and looks how far it got.
pub(super) fn ring(view: &View, class: Class, count: u64, acts: &mut Vec<Act>) {
    acts.push(Act::store(class, smmu(reg::CMDQ_PROD), 4, number(view.prod)));
    acts.push(Act::load(class, smmu(reg::CMDQ_CONS), 4).telling(Tells::Taken(count, view.prod)));
}

/// A batch of commands, with one that is refused now and then, mostly at its end.
pub(super) fn batch(view: &mut View, random: &mut Random, acts: &mut Vec<Act>) {
    let count = (1 + random.below(8)).min(1 << view.queue.1);
    for index in 0..count {
        let rare = if index + 1 == count { 3 } else { 40 };
        let command = command(random, rare);
        put(view, Class::Commands, &command, acts);
    }
    if random.percent(5) {
        // Beyond what there is, or far around.
        view.prod = random.any() & 0xf_ffff & ((2 << view.queue.1) - 1);
    }
    ring(view, Class::Commands, count, acts);
}
