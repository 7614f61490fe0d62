//! Attacks on an SMMU that is set up, or on one that is not: registers, places, races, and what it uses given away.

use parallax_addr::PAGE_SIZE;
use parallax_trace::Expr;

use crate::act::{Act, Class, number, physical, plus, ram, smmu};
use crate::commands;
use crate::entries;
use crate::layout;
use crate::random::Random;
use crate::smmu::{REGISTERS, View, enable, reg, some_cr0, write};

/// Size of the register frame in bytes.
const FRAME: u64 = 0x2_0000;

/// A value for a register: an address of either kind with a size, a small number, or anything.
fn value(random: &mut Random) -> Expr {
    match random.below(5) {
        0 => plus(layout::forbidden(random), random.below(32)),
        1..=2 => ram(layout::structure(random) | random.below(32)),
        3 => number(random.below(16)),
        _ => number(random.any()),
    }
}

/// Registers by every instruction.
pub(super) fn registers(random: &mut Random, acts: &mut Vec<Act>) {
    let class = Class::Registers;
    for _ in 0..4 + random.below(12) {
        let known = random.percent(60);
        let (offset, size) = if known {
            random.pick(&REGISTERS)
        } else {
            (random.below(FRAME - 16), random.pick(&[1, 2, 4, 4, 8, 8]))
        };
        let size = if random.percent(85) { size } else { random.pick(&[1, 2, 4, 8]) };
        // Misaligned accesses reach stage 2 only through Normal memory.
        let normal = number(u64::from(!offset.is_multiple_of(size) || random.percent(10)));
        let at = smmu(offset);
        acts.push(match random.below(20) {
            0..=7 => Act::new(class, "host_read", &[at, number(size), normal]),
            8..=15 => Act::new(class, "host_write", &[at, number(size), value(random), normal]),
            16 => Act::new(class, "host_read_pair", &[smmu(offset & !7)]),
            17 => Act::new(class, "host_write_pair", &[smmu(offset & !7), value(random), value(random)]),
            18 if random.percent(50) => Act::new(class, "host_atomic", &[smmu(offset & !7)]),
            18 => Act::new(class, "host_swap", &[smmu(offset & !7), value(random)]),
            _ if random.percent(50) => Act::new(class, "host_exec", &[smmu(offset & !3)]),
            _ => Act::new(class, "host_walk", &[smmu(offset & !(PAGE_SIZE - 1))]),
        });
    }
}

/// Stream tables of any place, format and size.
pub(super) fn geometry(random: &mut Random, acts: &mut Vec<Act>) {
    let class = Class::Geometry;
    acts.extend(enable(class, random.pick(&[0, 8, 0xc])));
    let base = if random.percent(50) { layout::forbidden(random) } else { ram(layout::structure(random)) };
    acts.push(write(class, reg::STRTAB_BASE, 8, plus(base, random.below(64) * 64)));
    let format = random.pick(&[0, 0, 1, 1, 2, 3]);
    let split = random.pick(&[0, 6, 6, 7, 8, 9, 10, 31]);
    let config = format << 16 | split << 6 | random.pick(&[0, 1, 4, 6, 8, 9, 16, 32, 63]);
    acts.push(write(class, reg::STRTAB_BASE_CFG, 4, number(config)));
    if random.percent(50) {
        // A level-2 table anywhere, of any size.
        let span = random.below(32);
        let table = if random.percent(50) { layout::forbidden(random) } else { value(random) };
        let root = layout::structure(random);
        acts.push(Act::store(class, ram(root), 8, plus(table, span)));
        acts.push(write(class, reg::STRTAB_BASE, 8, ram(root)));
    }
    acts.extend(enable(class, some_cr0(random) | 9));
}

/// Queues of any place and size.
pub(super) fn queues(random: &mut Random, acts: &mut Vec<Act>) {
    let class = Class::Queues;
    acts.extend(enable(class, random.pick(&[0, 1, 8, 4])));
    for register in [reg::CMDQ_BASE, reg::EVENTQ_BASE] {
        let base = if random.percent(60) { layout::forbidden(random) } else { value(random) };
        let size = random.pick(&[0, 4, 7, 8, 11, 12, 19, 31]);
        acts.push(write(class, register, 8, plus(base, size)));
    }
    for register in [reg::CMDQ_CONS, reg::CMDQ_PROD, reg::EVENTQ_PROD, reg::EVENTQ_CONS] {
        if random.percent(50) {
            acts.push(write(class, register, 4, number(random.any() & 0x8fff_ffff)));
        }
    }
    acts.extend(enable(class, some_cr0(random)));
}

/// CPU 1 rewrites an entry, a level-1 descriptor or a command while CPU 0 has it copied.
pub(super) fn race(view: &mut View, random: &mut Random, acts: &mut Vec<Act>) {
    let class = Class::Races;
    let stream = random.pick(&[8, 16]);
    let command = commands::configure(stream);
    let [slot, entry] = [view.slot(), view.entry(stream)];
    commands::put(view, class, &command, acts);
    let context = view.context.0;
    let (to, one, other) = match random.below(5) {
        0..=1 => {
            let dword = random.pick(&[0, 0, 1, 2, 3]);
            let of = |random: &mut Random, legal| entries::entry(random, context, legal)[dword].clone();
            (entry + 8 * dword as u64, of(random, true), of(random, false))
        }
        2 => {
            let descriptor = view.table.descriptor.unwrap_or(entry);
            let right = number(physical(view.table.entries) | 7);
            (descriptor, right, plus(layout::forbidden(random), random.below(12)))
        }
        // One that nobody has is an error of the hypervisor's own queue, if it gets there.
        _ if random.percent(60) => (slot, command[0].clone(), number(random.pick(&[0x00, 0x47, 0xff]))),
        _ => {
            let dword = random.below(2);
            let other = commands::command(random, 2)[dword as usize].clone();
            (slot + 8 * dword, command[dword as usize].clone(), other)
        }
    };
    let register = smmu(reg::CMDQ_PROD);
    let data = number(view.prod);
    acts.push(Act::new(
        class,
        "host_race",
        &[ram(to), one, other, register, data, number(random.below(1 << 16))],
    ));
    if random.percent(30) {
        // The whole table is copied when it is turned on.
        acts.push(write(class, reg::CR0, 4, number(8)));
        let [one, other] = [true, false].map(|legal| entries::entry(random, context, legal)[0].clone());
        let (cr0, seed) = (number(0xd), number(random.below(1 << 16)));
        acts.push(Act::new(class, "host_race", &[ram(entry), one, other, smmu(reg::CR0), cr0, seed]));
    }
}

/// Gives away, takes back and unpins what the SMMU uses; and turns it off and on around that.
pub(super) fn in_use(view: &View, random: &mut Random, acts: &mut Vec<Act>) {
    let class = Class::InUse;
    let page = random.pick(&view.pages());
    let off = random.percent(40);
    if off {
        acts.push(write(class, reg::CR0, 4, number(random.pick(&[0, 4, 8, 0xc]))));
    }
    for _ in 0..1 + random.below(3) {
        let name = random.pick(&[
            "host_donate_hyp",
            "host_donate_hyp",
            "host_unshare_hyp",
            "hyp_unpin_shared_mem",
            "hyp_pin_shared_mem",
            "hyp_donate_host",
            "host_share_hyp",
        ]);
        acts.push(Act::pages(class, name, ram(page / PAGE_SIZE), 1 + random.below(2)));
    }
    if off {
        acts.extend(enable(class, 0xd));
    }
    // What was given away is wanted again, mostly.
    if random.percent(80) {
        acts.push(Act::pages(class, "hyp_donate_host", ram(page / PAGE_SIZE), 1));
        acts.push(Act::pages(class, "hyp_unpin_shared_mem", ram(page / PAGE_SIZE), 1));
        acts.push(Act::pages(class, "host_unshare_hyp", ram(page / PAGE_SIZE), 1));
    }
}
