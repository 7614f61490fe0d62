//! Operations that touch data, or registers of the host's own SMMU: they go alone.

use parallax_addr::PAGE_SIZE;
use parallax_spec::Page;
use parallax_trace::Op;

use super::generator::{Generator, Step};
use super::kind::Kind;
use super::machines::HOLE;
use super::places::{BLOCK, PAGES};
use crate::act::{number, op, plus, ram};
use crate::lpis;

/// The page of the driver's event queue.
const EVENTS: u64 = 0x7010;
/// Instructions of `host_probe`.
const FORMS: u64 = 19;

impl Generator {
    /// A number that was not written yet.
    const fn number(&mut self) -> u64 {
        self.value += 1;
        self.value
    }

    /// A page of memory of a group, its number in it, and what it is.
    fn memory(&mut self) -> Option<(super::places::Group, u64, Page)> {
        let group = self.group();
        let index = self.random.below(PAGES);
        let page = self.model.page(group.frame + index);
        page.is_memory().then_some((group, index, page))
    }
}

/// Some operations that touch data, one after the other: the machine stops for each of them.
pub(super) fn several(generator: &mut Generator) {
    for _ in 0..4 + generator.random.below(5) {
        let next = generator.random.weighted(&[
            (3, fault as fn(&mut Generator)),
            (4, access),
            (1, probe),
            (1, far),
            (4, dma),
        ]);
        next(generator);
    }
}

/// A load or store in a block that nothing was done to, or at its border.
pub(super) fn fault(generator: &mut Generator) {
    let index = generator.random.below(generator.blocks.len() as u64) as usize;
    let frame = generator.blocks[index] + generator.random.pick(&[0, 1, 7, BLOCK - 1]);
    let at = ram(frame * PAGE_SIZE + 8 * generator.random.below(512));
    let op = if generator.random.percent(50) {
        op("host_read", &[at])
    } else {
        let value = generator.number();
        op("host_write", &[at, number(8), number(value)])
    };
    generator.push(Kind::Fault, None, op);
}

/// A load, store or another instruction in a page that may have changed hands.
pub(super) fn access(generator: &mut Generator) {
    let Some((group, index, page)) = generator.memory() else { return };
    let at = plus(group.bytes(index), 8 * generator.random.below(511));
    let value = number(generator.number());
    let hosts = page.is_the_hosts();
    let swaps = generator.setting.swaps;
    let op = match generator.random.below(8) {
        0..=2 => op("host_read", &[at]),
        3..=4 => op("host_write", &[at, number(8), value]),
        5 => op("host_atomic", &[at]),
        6 if swaps => op("host_swap", &[at, value]),
        // In a page of the host's there is no code that returns.
        _ if hosts => op("host_walk", &[group.bytes(index)]),
        _ => op("host_exec", &[at]),
    };
    generator.push_at(Kind::Access, &group, op);
}

/// A single instruction where stage 2 refuses it, or does not.
pub(super) fn probe(generator: &mut Generator) {
    let Some((group, index, _)) = generator.memory() else { return };
    let at = plus(group.bytes(index), 8 * generator.random.below(511));
    let random = &mut generator.random;
    let args = [at, number(random.below(FORMS)), number(random.below(2)), number(random.any())];
    generator.push_at(Kind::Probe, &group, op("host_probe", &args));
}

/// MMIO far apart, one place or several: each mapping takes tables of its own.
pub(super) fn far(generator: &mut Generator) {
    for _ in 0..generator.random.pick(&[1, 1, 1, 10]) {
        let far = 0x100_0000_0000 + 0x80_0000_0000 * generator.random.below(64);
        generator.push(Kind::Far, None, op("host_read", &[number(far)]));
    }
}

/// The pages around the border where MMIO was taken on both sides, before and after tables may have been given up.
pub(super) fn hole(generator: &mut Generator) {
    if generator.random.percent(50) {
        far(generator);
    }
    for _ in 0..1 + generator.random.below(4) {
        let at = (HOLE - 2 + generator.random.below(PAGES)) * PAGE_SIZE + 4 * generator.random.below(1024);
        let op = if generator.random.percent(70) {
            op("host_read", &[number(at), number(4)])
        } else {
            let value = generator.number();
            op("host_write", &[number(at), number(4), number(value)])
        };
        generator.push(Kind::Access, Some(Kind::MmioTable), op);
    }
}

/// A device reads or writes.
pub(super) fn dma(generator: &mut Generator) {
    if !generator.setting.held {
        return;
    }
    let Some((group, index, _)) = generator.memory() else { return };
    // The record of a refused access would be written right there.
    let events = generator.setting.map.frames(&ram(EVENTS)).unwrap_or_default();
    let (first, last) = (group.frame + index, group.frame + index + 1);
    if generator.driver.is_some() && (first..=last).contains(&events) {
        return;
    }
    let streams = generator.setting.streams.clone();
    let which = generator.random.weighted(&[(4, 0), (4, 1), (1, 2)]);
    let (kind, stream) = match (which, streams.get(which)) {
        (0, Some(stream)) => (Kind::DmaFirst, *stream),
        (_, Some(stream)) => (Kind::DmaSecond, *stream),
        _ => (Kind::DmaOther, generator.random.pick(&[0, 24, 0x100, 0x1_0000])),
    };
    // Within a page, or all of it; across two pages now and then.
    let (offset, len) = generator.random.pick(&[(0, 8), (0, 8), (0x800, 64), (0, 4096), (0xff8, 16)]);
    let at = plus(group.bytes(index), offset);
    let value = number(generator.number());
    let op = if generator.random.percent(60) {
        op("dma_write", &[number(stream), at, number(len), value])
    } else {
        op("dma_read", &[number(stream), at, number(len)])
    };
    generator.push_at(kind, &group, op);
}

/// The host's own SMMU is turned on or off, or a stream of it changes.
pub(super) fn driver(generator: &mut Generator) {
    let Some(driver) = &mut generator.driver else { return };
    let ops = driver.next(&mut generator.random);
    generator.steps.extend(ops.into_iter().map(|op| Step { kind: Kind::Smmu, place: None, op }));
    // What both streams do now.
    if generator.random.percent(50) {
        let value = generator.number();
        for stream in generator.setting.streams.clone() {
            let args = [number(stream), ram(0x701_8000), number(8), number(value)];
            generator.push(Kind::Smmu, None, op("dma_write", &args));
        }
    }
}

/// A burst of the hostile host: registers, tables, queues, commands that no driver would write, of the SMMU and the ITS.
pub(super) fn hostile(generator: &mut Generator) {
    if let Some(driver) = &mut generator.driver {
        driver.lose();
    }
    for op in generator.hostile.burst() {
        generator.steps.push(Step { kind: Kind::Hostile, place: None, op });
    }
}

/// The ITS or a redistributor: registers, tables and commands.
pub(super) fn interrupts(generator: &mut Generator) {
    let mut acts = Vec::new();
    lpis::attack(&mut generator.lpis, generator.setting.cpus, &mut generator.random, &mut acts);
    for act in acts {
        generator.push(Kind::Interrupts, None, Op { expect: None, ..act.op });
    }
}
