//! Attacks on the ITS and the redistributors, whose tables are named by physical addresses.
//!
//! Half of what the host sets up is right and most commands are legal, so that interrupts get mapped and LPIs come on; then
//! single addresses lead where the host must not reach.

use parallax_addr::PAGE_SIZE;
use parallax_gic::raw::{gicr, gits};
use parallax_gic::{Command, CommandKind};
use parallax_trace::{Expr, Symbol};

use crate::act::{Act, Class, at, number, physical, plus, ram};
use crate::layout;
use crate::random::Random;

const CLASS: Class = Class::Lpis;
/// Where the host keeps its own, from the start of RAM: the queue, ITTs behind it, then LPI tables of 64 KiB each. The
/// largest configuration table takes 16 MiB, and there is nothing of service within them.
const QUEUE: u64 = 0xa00_0000;
const ITTS: u64 = QUEUE + 0x4000;
const CONFIGURATION: u64 = QUEUE + 0x1_0000;
const PENDING: u64 = QUEUE + 0x2_0000;
/// Commands that the queue has room for.
const SLOTS: u64 = PAGE_SIZE / Command::BYTES;
const VALID: u64 = 1 << 63;

/// What the host knows of its ITS.
#[derive(Debug)]
pub(super) struct View {
    /// DeviceIDs end here.
    devices: u64,
    /// Number of the next command's slot.
    next: u64,
    is_set_up: bool,
}

impl View {
    /// Of a machine whose DeviceIDs have so many `bits`.
    pub(super) const fn of(bits: u32) -> Self {
        Self { devices: 1 << bits, next: 0, is_set_up: false }
    }
}

fn its(offset: u64) -> Expr {
    at(Symbol::Mmio("its".to_owned()), offset)
}

fn redistributor(cpu: u64, offset: u64) -> Expr {
    at(Symbol::Mmio("gicr".to_owned()), cpu * gicr::STRIDE + offset)
}

fn write(place: Expr, size: u64, value: Expr) -> Act {
    Act::store(CLASS, place, size, value)
}

/// `right`, `percent` times out of 100; otherwise where the host must not reach.
fn address(random: &mut Random, right: u64, percent: u64) -> Expr {
    if random.percent(percent) { number(physical(right)) } else { layout::forbidden(random) }
}

/// A few operations on the machine's `cpus` redistributors and its ITS.
pub(super) fn attack(view: &mut View, cpus: u64, random: &mut Random, acts: &mut Vec<Act>) {
    match random.below(20) {
        0 => registers(random, acts),
        1..=3 => lpi_tables(cpus, random, acts),
        4 => set_up(view, random, acts),
        5 => calls(cpus, random, acts),
        6 => halves(view, cpus, random, acts),
        _ if !view.is_set_up => set_up(view, random, acts),
        _ => commands(view, cpus, random, acts),
    }
}

/// Any register of the ITS or of a redistributor, in any width.
fn registers(random: &mut Random, acts: &mut Vec<Act>) {
    let size = random.pick(&[1, 2, 4, 4, 8, 8]);
    let offset =
        random.pick(&[gits::CTLR, gits::CBASER, gits::CWRITER, gits::CREADR, gits::BASER, gits::BASER + 8]);
    let offset = if random.percent(50) { random.below(0x2_0000 / size) * size } else { offset };
    let place = if random.percent(70) { its(offset) } else { redistributor(random.below(2), offset) };
    if random.percent(70) {
        let value = if random.percent(50) { layout::forbidden(random) } else { number(random.any()) };
        acts.push(write(place, size, value));
    } else {
        acts.push(Act::load(CLASS, place, size));
    }
}

/// A register of 64 bits that is written by halves, in either order, and read back. Most take that while the ITS, or the LPIs, are off.
fn halves(view: &mut View, cpus: u64, random: &mut Random, acts: &mut Vec<Act>) {
    const OF_ITS: [u64; 4] = [gits::CBASER, gits::CWRITER, gits::BASER, gits::BASER + 8];
    let cpu = random.below(cpus);
    let register = random.pick(&[[gicr::PROPBASER, gicr::PENDBASER].as_slice(), &OF_ITS]);
    let register = random.pick(register);
    let of_its = OF_ITS.contains(&register);
    let place = |offset| if of_its { its(offset) } else { redistributor(cpu, offset) };
    view.is_set_up &= !of_its;
    // GITS_CTLR and GICR_CTLR are in the same place.
    acts.push(write(place(gits::CTLR), 4, number(0)));
    for half in random.pick(&[[0, 4], [4, 0]]) {
        acts.push(write(place(register + half), 4, number(random.any() >> 32)));
        acts.push(Act::load(CLASS, place(register), 8));
    }
    acts.push(Act::load(CLASS, place(register + random.pick(&[0, 4])), 4));
}

/// The ITS as a driver sets it up, or nearly so.
fn set_up(view: &mut View, random: &mut Random, acts: &mut Vec<Act>) {
    acts.push(write(its(gits::CTLR), 4, number(0)));
    for table in random.pick(&[&[0, 1][..], &[0, 1], &[0], &[1], &[]]).iter().copied() {
        let indirect = random.pick(&[0, 0, 1 << 62]);
        let size = random.pick(&[0, 0, 1, 0xff]) | random.below(4) << 8;
        let base = address(random, QUEUE + 0x3000, 40);
        acts.push(write(its(gits::BASER + 8 * table), 8, plus(base, VALID | indirect | size)));
    }
    let queue = address(random, QUEUE, 85);
    let size = random.pick(&[0, 0, 0, 0xff]);
    let valid = if random.percent(95) { VALID } else { 0 };
    acts.push(write(its(gits::CBASER), 8, plus(queue, valid | size)));
    acts.push(write(its(gits::CWRITER), 8, number(0)));
    acts.push(write(its(gits::CTLR), 4, number(1)));
    acts.push(Act::load(CLASS, its(gits::CTLR), 4));
    (view.next, view.is_set_up) = (0, true);
}

/// LPI tables of a redistributor, on and off.
fn lpi_tables(cpus: u64, random: &mut Random, acts: &mut Vec<Act>) {
    let cpu = random.below(cpus);
    let bits = random.pick(&[13, 15, 15, 15, 23, 31, 0]);
    if random.percent(60) {
        acts.push(write(redistributor(cpu, gicr::CTLR), 4, number(0)));
    }
    let (configuration, pending) =
        (address(random, CONFIGURATION, 70), address(random, PENDING + cpu * 0x1_0000, 60));
    acts.push(write(redistributor(cpu, gicr::PROPBASER), 8, plus(configuration, bits)));
    acts.push(write(redistributor(cpu, gicr::PENDBASER), 8, plus(pending, random.pick(&[0, 1 << 62]))));
    acts.push(write(redistributor(cpu, gicr::CTLR), 4, number(1)));
    acts.push(Act::load(CLASS, redistributor(cpu, gicr::CTLR), 4));
}

/// Calls for what the GIC may hold, each undone.
fn calls(cpus: u64, random: &mut Random, acts: &mut Vec<Act>) {
    let pending = PENDING + random.below(cpus) * 0x1_0000;
    let place = random.pick(&[QUEUE, ITTS, CONFIGURATION, pending]);
    let page = place / PAGE_SIZE + random.below(3);
    let calls = random.pick(&[
        &["host_donate_hyp", "hyp_donate_host"][..],
        &["host_share_hyp", "host_unshare_hyp"],
        &["host_share_hyp", "hyp_pin_shared_mem", "hyp_unpin_shared_mem", "host_unshare_hyp"],
        &["hyp_unpin_shared_mem"],
        &["host_unshare_hyp"],
    ]);
    acts.extend(calls.iter().map(|call| Act::pages(CLASS, call, ram(page), 1)));
}

/// Some commands, and the ITS told of them.
fn commands(view: &mut View, cpus: u64, random: &mut Random, acts: &mut Vec<Act>) {
    // Over one that may have been refused: it takes Retry until the ITS looks at it again.
    if view.next > 0 && random.percent(25) {
        view.next -= 1;
    }
    let begin = if view.next == 0 { beginning(cpus) } else { Vec::new() };
    let more = (0..1 + random.below(5)).map(|_| command(view.devices, cpus, random));
    for [one, two, three, four] in begin.into_iter().chain(more) {
        let slot = QUEUE + view.next * Command::BYTES;
        acts.push(Act::new(CLASS, "host_write_pair", &[ram(slot), one, two]));
        acts.push(Act::new(CLASS, "host_write_pair", &[ram(slot + 16), three, four]));
        view.next = (view.next + 1) % SLOTS;
    }
    let retry = random.pick(&[0, 1]);
    acts.push(write(its(gits::CWRITER), 8, number((view.next * Command::BYTES) | retry)));
    if random.percent(20) {
        acts.push(Act::load(CLASS, its(gits::CREADR), 8));
    }
    // A queue that stalled is begun anew now and then.
    view.is_set_up = random.percent(85);
}

/// What a driver begins with: a device with an event, and a collection of each redistributor.
fn beginning(cpus: u64) -> Vec<[Expr; 4]> {
    let itt = plus(number(physical(ITTS)), VALID);
    let device = [number(8 << 32 | 0x08), number(4), itt, number(0)];
    let event = [number(8 << 32 | 0x0a), number(8192 << 32 | 1), number(0), number(0)];
    let collection = |cpu| [number(0x09), number(0), number(VALID | cpu << 16 | cpu), number(0)];
    [device].into_iter().chain((0..cpus).map(collection)).chain([event]).collect()
}

/// A command, mostly one that the ITS can perform: one that is refused stops all that come behind it.
fn command(devices: u64, cpus: u64, random: &mut Random) -> [Expr; 4] {
    use CommandKind::{Clear, Discard, Int, Inv, Invall, Mapc, Mapd, Mapi, Mapti, Movall, Movi, Sync};
    // Otherwise one thing is wrong with it.
    let legal = random.percent(85);
    let odd = random.below(6);
    let unknown = random.below(256) as u8;
    let kind = random.weighted(&[
        (8, Mapd),
        (4, Mapc),
        (8, Mapti),
        (1, Mapi),
        (4, Int),
        (3, Movi),
        (2, Clear),
        (2, Discard),
        (2, Inv),
        (2, Invall),
        (3, Movall),
        (1, Sync),
        (if legal { 0 } else { 2 }, CommandKind::Unknown(unknown)),
    ]);
    let mut any = |place: u64, right: &[u64], wrong: &[u64]| {
        random.pick(if legal || odd != place { right } else { wrong })
    };
    let device = any(0, &[8, 8, 8, 16, 0, devices - 1], &[devices, devices, 0xffff_ffff]);
    let event = any(1, &[0, 1, 2, 3], &[31, 32, 0xffff]);
    let collection = any(2, &[0, 0, 1, 511], &[512, 0xffff]);
    let lpi = any(3, &[8192, 8193, 8200, 0xffff], &[0, 8191, 0xffff_ffff]);
    let size = any(4, &[0, 4, 4, 4, 9, 10], &[11, 11, 31]);
    let processor = random.below(if legal { cpus } else { cpus + 1 }) << 16;
    let valid = random.pick(&[VALID, VALID, VALID, 0]);
    let head = number(u64::from(kind.number()) | device << 32);
    let [one, two, three] = match kind {
        Mapd => {
            let right = ITTS + 0x100 * random.below(0x20);
            let itt = match (legal || odd != 5, random.percent(50)) {
                (true, _) => number(physical(right)),
                (false, true) => layout::forbidden(random),
                // Not at a multiple of 256.
                (false, false) => number(physical(right + 0x20)),
            };
            [number(size), plus(itt, valid), number(0)]
        }
        Mapc => [number(0), number(valid | processor | collection), number(0)],
        Mapti => [number(lpi << 32 | event), number(collection), number(0)],
        Mapi => [number(lpi), number(collection), number(0)],
        Movall => [number(0), number(processor), number(random.below(cpus) << 16)],
        Sync => [number(0), number(processor), number(0)],
        CommandKind::Unknown(_) => {
            [number(random.any()), layout::forbidden(random), layout::forbidden(random)]
        }
        _ => [number(event), number(collection), number(0)],
    };
    [head, one, two, three]
}
