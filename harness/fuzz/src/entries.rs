//! Stream table entries, context descriptors and stage-1 tables (IHI 0070, 5.2 and 5.4).
//!
//! Whatever stage 1 a hostile host makes here, it shows no page of RAM at the address of another one: what a device
//! writes can be looked for where it was sent.

use parallax_trace::Expr;

use crate::act::{Act, Class, number, physical, plus, ram};
use crate::layout;
use crate::random::Random;

/// Dword 0: V, and Config in bits 3:1.
const V: u64 = 1;
const BYPASS: u64 = 0b100 << 1;
const STAGE1: u64 = 0b101 << 1;
const STAGE2: u64 = 0b110 << 1;
const NESTED: u64 = 0b111 << 1;
/// A context descriptor: T0SZ 25, 4K, write-back, EPD1, V, IPS 44 bits, AFFD, AA64, R, A, ASET, ASID 1.
pub(super) const CONTEXT: u64 = 0x0001_e20c_c000_3519;
/// A level-1 block of stage 1: valid, AF, inner shareable, AttrIndx 0, EL1 only.
pub(super) const BLOCK: u64 = 0x741;

/// An entry's eight dwords; only those that are not 0 are written.
pub(super) type Entry = [Expr; 8];

fn entry_of(first: Expr) -> Entry {
    let zero = || number(0);
    [first, zero(), zero(), zero(), zero(), zero(), zero(), zero()]
}

/// An entry; in order if `legal`, of any kind otherwise. `context` is the page of a context descriptor.
pub(super) fn entry(random: &mut Random, context: u64, legal: bool) -> Entry {
    let stage1 = || entry_of(ram(context | STAGE1 | V));
    if legal {
        return match random.below(8) {
            0..=3 => entry_of(number(V | BYPASS)),
            4..=5 => stage1(),
            6 => entry_of(number(V)),
            _ => entry_of(number(0)),
        };
    }
    match random.below(10) {
        // Stage 2, or both, with the table at the hypervisor's.
        0..=1 => {
            let mut entry = entry_of(number(V | if random.percent(50) { STAGE2 } else { NESTED }));
            entry[2] = number(random.any());
            entry[3] = layout::forbidden(random);
            entry
        }
        // A context descriptor where it must not be.
        2..=3 => entry_of(plus(layout::forbidden(random), STAGE1 | V)),
        // Bypass, or stage 1, and all else at random.
        4..=6 => {
            let mut entry = if random.percent(50) { entry_of(number(V | BYPASS)) } else { stage1() };
            entry[1..].fill_with(|| number(random.any()));
            entry
        }
        // Substreams.
        7 => entry_of(plus(ram(context), STAGE1 | V | random.any() << 59)),
        _ => {
            let mut entry = entry_of(number(random.any() | V));
            entry[1..].fill_with(|| number(random.any()));
            entry
        }
    }
}

/// Writes `entry` to `to` (bytes from the start of RAM), dword 0 last.
pub(super) fn store(class: Class, to: u64, entry: &Entry, acts: &mut Vec<Act>) {
    let rest = entry.iter().enumerate().skip(1).filter(|(_, dword)| **dword != number(0));
    for (index, dword) in rest {
        acts.push(Act::store(class, ram(to + 8 * index as u64), 8, dword.clone()));
    }
    acts.push(Act::store(class, ram(to), 8, entry[0].clone()));
}

/// A context descriptor and its table, which shows RAM where it is and, once more, at 0x100000000; something in them
/// is wrong if `wrong`.
pub(super) fn context(
    random: &mut Random,
    (descriptor, table): (u64, u64),
    wrong: bool,
    acts: &mut Vec<Act>,
) {
    let class = Class::Entries;
    let what = if wrong { random.below(5) } else { 5 };
    let first = match what {
        0 => random.any(),
        1 => CONTEXT ^ 1 << random.below(64),
        _ => CONTEXT,
    };
    // QEMU ends with an assertion where IPS is 0b111, which is reserved.
    let first = if first >> 32 & 7 == 7 { first & !(1 << 32) } else { first };
    let root = if what == 2 { layout::forbidden(random) } else { ram(table) };
    acts.push(Act::store(class, ram(descriptor), 8, number(first)));
    acts.push(Act::store(class, ram(descriptor + 8), 8, root));
    acts.push(Act::store(class, ram(descriptor + 0x18), 8, number(0xff)));
    let here = match what {
        // A table in the hypervisor's memory.
        3 => plus(layout::forbidden(random), 3),
        4 => number(0),
        _ => number(physical(0) | BLOCK),
    };
    acts.push(Act::store(class, ram(table + 8), 8, here));
    acts.push(Act::store(class, ram(table + 0x20), 8, number(physical(0) | BLOCK)));
    // The first GiB, where the registers are.
    acts.push(Act::store(class, ram(table + 0x28), 8, number(BLOCK)));
}
