//! Ranges that are chosen for their ends.

use parallax_addr::PAGE_SIZE;
use parallax_spec::Page;

use super::calls::{call, fitting};
use super::generator::Generator;
use super::kind::Kind;
use super::places::{BLOCK, GIBIBYTE, PAGES};
use crate::act::{number, op, ram};

/// Calls of more than one page.
const OF_RANGES: [&str; 6] = [
    "hyp_pin_shared_mem",
    "hyp_unpin_shared_mem",
    "host_donate_hyp",
    "hyp_donate_host",
    "host_donate_hyp_mmio",
    "hyp_donate_host_mmio",
];

/// A call that its first page allows, of a range whose last page is in another state.
pub(super) fn border(generator: &mut Generator) {
    let group = generator.group();
    let first = generator.random.below(PAGES - 1);
    let last = first + 1 + generator.random.below(PAGES - 1 - first);
    let [page, other] = [first, last].map(|index| generator.model.page(group.frame + index));
    if page == other {
        return;
    }
    let word = match fitting(generator, page) {
        Some("host_share_hyp") => "host_donate_hyp",
        Some("host_unshare_hyp") => "hyp_pin_shared_mem",
        Some(word) => word,
        None => generator.random.pick(&OF_RANGES),
    };
    generator.push_at(Kind::Border, &group, call(word, group.page(first), last - first + 1));
}

/// Blocks that are worked with by powers of two of pages. Few of them, so that a block is taken apart and becomes whole again.
const FEW: u64 = 6;

/// A power of two of pages, aligned to it or one off, in a block that only this is done to.
pub(super) fn power_of_two(generator: &mut Generator) {
    let nr = 1 << generator.random.weighted(&[(8, 1), (8, 2), (6, 4), (4, 6), (2, 8), (4, 9), (1, 10)]);
    // The other half of the blocks is [`tables`]'.
    let few = (generator.blocks.len() as u64 / 4).min(FEW);
    // Behind them are two that no part of is given alone.
    let first = if nr >= BLOCK && generator.random.percent(50) { few } else { 0 };
    let many = if first == 0 { few } else { 2 };
    let index = (first + generator.random.below(many)) as usize * 2;
    let block = generator.blocks[index];
    let shift = if nr < BLOCK { generator.random.pick(&[0, 0, nr, BLOCK - nr, BLOCK - 1]) } else { 0 };
    let at = generator.setting.map.frames(&ram(block + shift)).unwrap_or_default();
    let word = match generator.model.page(at) {
        Page::Given { .. } => "hyp_donate_host",
        _ => "host_donate_hyp",
    };
    if nr < BLOCK || word != "host_donate_hyp" {
        return generator.push(Kind::PowerOfTwo, None, call(word, ram(block + shift), nr));
    }
    // A table with live entries may be in the place of the block.
    let page = block + generator.random.below(BLOCK);
    generator.push(Kind::PowerOfTwo, None, op("host_read", &[ram(page * PAGE_SIZE)]));
    // In parts it may be given, and come back as a whole.
    let parts = generator.random.pick(&[1, 2]);
    for part in 0..parts {
        let first = ram(block + part * nr / parts);
        generator.push(Kind::PowerOfTwo, None, call(word, first, nr / parts));
    }
    if generator.random.percent(50) {
        generator.push(Kind::PowerOfTwo, None, call("hyp_donate_host", ram(block), nr));
    }
}

/// A gibibyte that is given as a whole and comes back, each time with tables below that one page of it needed.
pub(super) fn gibibyte(generator: &mut Generator) {
    let one = GIBIBYTE + 1 + generator.random.below(GIBIBYTE - 1);
    let (give, take) = ("host_donate_hyp", "hyp_donate_host");
    let all = [(give, one), (take, one), (give, GIBIBYTE), (take, one), (give, one), (take, GIBIBYTE)];
    for (word, first) in all {
        let nr = if first == GIBIBYTE { GIBIBYTE } else { 1 };
        generator.push(Kind::PowerOfTwo, None, call(word, ram(first), nr));
    }
}

/// No page at all.
pub(super) fn nothing(generator: &mut Generator) {
    let group = generator.group();
    let word = generator.random.pick(&OF_RANGES);
    generator.push_at(Kind::Nothing, &group, call(word, group.page(0), 0));
}

/// More pages than there are: up to the end of memory and one more, of the address space, of all addresses.
pub(super) fn huge(generator: &mut Generator) {
    let group = generator.group();
    let word = generator.random.pick(&OF_RANGES);
    let frames = parallax_spec::View::frames(&generator.model);
    let random = &mut generator.random;
    let nr = match random.below(6) {
        0 => frames.saturating_sub(group.frame),
        1 => frames.saturating_sub(group.frame) + 1,
        2 => 1 << 40,
        3 => (1 << 40) + 1,
        4 => 1 << (21 + random.below(42)),
        _ => u64::MAX >> 1,
    };
    generator.push_at(Kind::Huge, &group, call(word, group.page(0), nr));
}

/// A range that ends where it began, or before: 64 bits are not enough for its end, or for its end in bytes.
pub(super) fn wrapping(generator: &mut Generator) {
    let group = generator.group();
    let word = generator.random.pick(&OF_RANGES);
    let random = &mut generator.random;
    match random.below(3) {
        0 => {
            let nr = u64::MAX - random.below(4);
            generator.push_at(Kind::Wrapping, &group, call(word, group.page(0), nr));
        }
        // In bytes it is another page's.
        1 => {
            let high = 1 << (52 + random.below(12));
            generator.push(Kind::Wrapping, None, call(word, number(group.frame | high), 1));
        }
        _ => {
            let first = u64::MAX - random.below(2);
            let nr = 1 + random.below(8);
            generator.push(Kind::Wrapping, None, call(word, number(first), nr));
        }
    }
}

/// A page, or the two around a border of blocks, where no table is yet: given, or lent and pinned, or returned.
pub(super) fn tables(generator: &mut Generator) {
    let half = generator.blocks.len() as u64 / 2;
    let index = generator.random.below(half.min(24)) as usize * 2 + 1;
    let block = generator.blocks[index];
    let (offset, nr) =
        generator.random.pick(&[(0, 1), (0, 1), (1, 1), (BLOCK - 1, 1), (BLOCK - 2, 2), (BLOCK - 2, 4)]);
    let at = generator.setting.map.frames(&ram(block + offset)).unwrap_or_default();
    let page = generator.model.page(at);
    let Some(word) = fitting(generator, page) else { return };
    generator.push(Kind::Tables, None, call(word, ram(block + offset), nr));
}

/// Two pages on both sides of 4 GiB, before anything else is there: two trees take four tables each, which is the most for two pages.
pub(super) fn most_tables(generator: &mut Generator) {
    let border = generator.groups.iter().find(|group| group.kind == Kind::Above4G).cloned();
    if let Some(group) = border {
        generator.push_at(Kind::Tables, &group, call("host_donate_hyp", group.page(1), 2));
    }
}
