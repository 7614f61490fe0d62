//! Calls: those that succeed, those that are refused for a reason, and those that nobody knows.

use parallax_addr::{Expr, PAGE_SIZE, PhysAddr, Span};
use parallax_ops::{Form, Outcome};
use parallax_spec::{Effect, Page};
use parallax_trace::Op;

use super::generator::Generator;
use super::kind::Kind;
use super::machines::Special;
use super::places::PAGES;
use crate::act::{number, op, ram, smmu};
use crate::pages;
use crate::smmu::reg;

/// Calls that name pages.
const CALLS: [&str; 8] = [
    "host_share_hyp",
    "host_unshare_hyp",
    "hyp_pin_shared_mem",
    "hyp_unpin_shared_mem",
    "host_donate_hyp",
    "hyp_donate_host",
    "host_donate_hyp_mmio",
    "hyp_donate_host_mmio",
];

/// CR0.
const EVENTQEN: u64 = 1 << 2;
const CMDQEN: u64 = 1 << 3;

/// `word` on `nr` pages from `pfn` on; a call of one page takes no number.
pub(super) fn call(word: &str, pfn: Expr, nr: u64) -> Op {
    op(word, &[pfn, number(nr)])
}

/// A call that succeeds on a page in the state `page`, if there is one.
pub(super) fn fitting(generator: &mut Generator, page: Page) -> Option<&'static str> {
    let random = &mut generator.random;
    Some(match page {
        Page::Host => random.weighted(&[(3, "host_share_hyp"), (4, "host_donate_hyp")]),
        Page::Lent { pins: 0, held: 0 } => {
            random.weighted(&[(2, "host_unshare_hyp"), (3, "hyp_pin_shared_mem")])
        }
        Page::Lent { pins: 0, .. } => "hyp_pin_shared_mem",
        Page::Lent { .. } => random.weighted(&[(3, "hyp_unpin_shared_mem"), (2, "hyp_pin_shared_mem")]),
        Page::Given { .. } => "hyp_donate_host",
        _ => return None,
    })
}

/// A call that succeeds, on as many pages as are alike.
pub(super) fn life(generator: &mut Generator) {
    // Beside memory that is not the host's to give there is no call that succeeds.
    let mut fits = None;
    for _ in 0..8 {
        let (group, first) = (generator.group(), generator.random.below(PAGES));
        let page = generator.model.page(group.frame + first);
        fits = fitting(generator, page).map(|word| (group, first, page, word));
        if fits.is_some() {
            break;
        }
    }
    let Some((group, first, page, word)) = fits else { return };
    let alike = (first..PAGES).take_while(|index| generator.model.page(group.frame + index) == page).count();
    let nr = 1 + generator.random.below(alike as u64);
    generator.push_at(Kind::Life, &group, call(word, group.page(first), nr));
}

/// A call that is refused, of which the state alone says so.
pub(super) fn refused(generator: &mut Generator) {
    let group = generator.group();
    for _ in 0..8 {
        let word = generator.random.pick(&CALLS);
        let first = generator.random.below(PAGES);
        let nr = 1 + generator.random.below(PAGES - first);
        let op = call(word, group.page(first), nr);
        if generator.refused(&op).is_some() {
            return generator.push_at(Kind::Refused, &group, op);
        }
    }
}

/// Pins of one page in a row, up to their limit and beyond, or back. It is the second of two, which are pinned at once at the limit. Where the
/// host has an SMMU of its own both are its command queue's: what an event queue in the same place does at the limit is then tried, too.
pub(super) fn pins(generator: &mut Generator) {
    let frame = generator.blocks[0] + 1;
    let at = generator.setting.map.frames(&ram(frame)).unwrap_or_default();
    match generator.model.page(at) {
        Page::Host if generator.setting.special == Special::Pins => queue(generator, frame - 1),
        Page::Host => generator.push(Kind::Pins, None, call("host_share_hyp", ram(frame), 1)),
        page @ Page::Lent { .. } if page.all_pins() == u16::MAX => {
            generator.push(Kind::PinLimit, None, call("hyp_pin_shared_mem", ram(frame), 1));
            match generator.model.page(at - 1) {
                Page::Host => generator.push(Kind::Pins, None, call("host_share_hyp", ram(frame - 1), 1)),
                Page::Given { .. } => {
                    generator.push(Kind::Pins, None, call("hyp_donate_host", ram(frame - 1), 1));
                }
                _ => generator.push(Kind::PinLimit, None, call("hyp_pin_shared_mem", ram(frame - 1), 2)),
            }
            generator.push(Kind::PinLimit, None, call("host_unshare_hyp", ram(frame), 1));
            if generator.setting.special == Special::Pins {
                second_queue(generator, frame - 1);
            }
            generator.push(Kind::PinLimit, None, call("hyp_unpin_shared_mem", ram(frame), 1));
        }
        Page::Lent { .. } => {
            for _ in 0..1 + generator.random.below(32) {
                generator.push(Kind::Pins, None, call("hyp_pin_shared_mem", ram(frame), 1));
            }
        }
        _ => generator.push(Kind::Pins, None, call("hyp_donate_host", ram(frame), 1)),
    }
}

/// A command queue in two pages from `frame` on: it holds each of them once.
fn queue(generator: &mut Generator, frame: u64) {
    let page = generator.setting.map.frames(&ram(frame)).unwrap_or_default() * PAGE_SIZE;
    for op in [write(reg::CMDQ_BASE, 8, ram((frame * PAGE_SIZE) | 9)), write(reg::CR0, 4, number(CMDQEN))] {
        generator.push(Kind::Pins, Some(Kind::LongQueue), op);
    }
    let held = Page::Lent { pins: 0, held: 1 };
    generator.model.apply(&[Effect { span: Span::new(PhysAddr::new(page), 2 * PAGE_SIZE), page: held }]);
}

/// An event queue in the same pages, of which the second cannot be held once more.
fn second_queue(generator: &mut Generator, frame: u64) {
    let is_off = Outcome::Ok { value: Some(CMDQEN) };
    for op in [
        write(reg::EVENTQ_BASE, 8, ram((frame * PAGE_SIZE) | 8)),
        write(reg::CR0, 4, number(CMDQEN | EVENTQEN)),
        Op { expect: Some(is_off), ..op("host_read", &[smmu(reg::CR0), number(4)]) },
    ] {
        generator.push(Kind::PinLimit, None, op);
    }
}

/// A write of `value` to a register of the host's own SMMU.
fn write(register: u64, size: u64, value: Expr) -> Op {
    op("host_write", &[smmu(register), number(size), value])
}

/// A number that no call has.
pub(super) fn unknown(generator: &mut Generator) {
    let random = &mut generator.random;
    // Beside those that there are, of other owners, and with other bits; the firmware's are not among them.
    let id = match random.below(3) {
        0 => 0xc600_0000 | random.below(0x200),
        1 => 0x8600_0000 | random.below(0x120),
        _ => 0xc600_0000 | random.any() & 0xff_ffff,
    };
    let group = generator.group();
    let args = [number(id), group.page(0), number(1)];
    let op = op("hypercall", &args);
    if generator.refused(&op).is_some_and(|(_, rule)| rule == "hypercall/known") {
        generator.push(Kind::UnknownCall, None, op);
    }
}

/// A call by its number, with anything in the registers that it does not use; or any number with anything in all of them.
pub(super) fn odd(generator: &mut Generator) {
    if generator.random.percent(40) {
        let args = pages::call(&mut generator.random);
        return generator.push(Kind::OddCall, None, op("hypercall", &args));
    }
    let (group, first) = (generator.group(), generator.random.below(PAGES));
    let word = generator.random.pick(&CALLS);
    let Some(Form::Hypercall(id)) = parallax_ops::row(word).map(|row| row.form) else { return };
    let nr = 1 + generator.random.below(PAGES - first);
    let Ok(frame) = generator.setting.map.frames(&group.page(first)) else { return };
    let mut args = vec![number(id), number(frame), number(nr)];
    args.extend((0..4).map(|_| number(generator.random.any())));
    generator.push_at(Kind::OddCall, &group, op("hypercall", &args));
}

/// A secure monitor call.
pub(super) fn secure(generator: &mut Generator) {
    let args = pages::call(&mut generator.random);
    generator.push(Kind::Secure, None, op("smc", &args));
}

/// The oldest event.
pub(super) fn event(generator: &mut Generator) {
    generator.push(Kind::Event, None, op("smmu_read_event", &[]));
}

/// CPU 1 goes off and comes back at the test host's entry, as traces have it.
pub(super) fn cpus(generator: &mut Generator) {
    let entry = Expr {
        base: Some(parallax_addr::Base { symbol: parallax_addr::Symbol::Host, end: false }),
        offset: 0x28,
    };
    let off = Op { cpu: 1, expect: Some(Outcome::Timeout), ..op("smc", &[number(0x8400_0002)]) };
    let on = op("smc", &[number(0xc400_0003), number(1), entry, number(1)]);
    generator.push(Kind::Cpus, None, off);
    generator.push(Kind::Cpus, None, on);
}
