//! The pages that operations name: few, and chosen on purpose, so that what is done to them meets.

use parallax_addr::{AddressMap, Base, Expr, PAGE_SIZE, PhysAddr, Symbol};

use super::generator::Setting;
use super::kind::Kind;
use super::machines::HOLE;
use crate::act::{number, plus, ram};

/// Pages beside each other that are worked with together.
pub(super) const PAGES: u64 = 4;
/// Pages of a block of 2 MiB.
pub(super) const BLOCK: u64 = 512;
/// Pages of a block of 1 GiB.
pub(super) const GIBIBYTE: u64 = 1 << 18;
/// The first block that is used page by page or as a whole: below it are the hypervisor, the test host and what
/// [`crate::layout`] names.
const BLOCKS: u64 = 0x8000;

/// [`PAGES`] pages from a frame on.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) kind: Kind,
    /// The first one, in frames.
    pub(super) at: Expr,
    /// The same as a number.
    pub(super) frame: u64,
}

impl Group {
    /// The frame of its page number `index`.
    pub(super) fn page(&self, index: u64) -> Expr {
        plus(self.at.clone(), index)
    }

    /// The address of its page number `index`, in bytes.
    pub(super) fn bytes(&self, index: u64) -> Expr {
        Expr { offset: self.page(index).offset << 12, base: self.at.base.clone() }
    }
}

const fn from(symbol: Symbol, end: bool, offset: i64) -> Expr {
    Expr { base: Some(Base { symbol, end }), offset: offset.cast_unsigned() }
}

fn mmio(name: &str) -> Symbol {
    Symbol::Mmio(name.to_owned())
}

/// The groups of a machine with this `setting`, whose host has `frames` frames.
pub(super) fn groups(setting: &Setting, frames: u64) -> Vec<Group> {
    let map = &setting.map;
    let memory = map.place(&Symbol::Ram).unwrap_or_default();
    let mut wanted = vec![
        (Kind::Table2M, ram(0x4200 - 2)),
        (Kind::Table2M, ram(0x4400 - 2)),
        (Kind::RamFirst, from(Symbol::Ram, false, -2)),
        (Kind::RamLast, from(Symbol::Ram, true, -2)),
        (Kind::Image, from(Symbol::Hyp, false, -2)),
        (Kind::Image, from(Symbol::Hyp, true, -2)),
        (Kind::Pool, from(Symbol::Pool, false, -2)),
        (Kind::Pool, from(Symbol::Pool, true, -2)),
        (Kind::Mmio, from(mmio("smmu"), false, -2)),
        (Kind::Mmio, from(mmio("smmu"), true, -2)),
        (Kind::DonatedMmio, from(mmio("rtc"), false, -1)),
        (Kind::End, number(frames - 2)),
    ];
    if memory.size >> 12 > GIBIBYTE {
        wanted.push((Kind::Table1G, ram(GIBIBYTE - 2)));
    }
    // Memory begins at 1 GiB.
    if memory.size >> 12 > 3 * GIBIBYTE {
        wanted.push((Kind::Above4G, ram(3 * GIBIBYTE - 2)));
    }
    if setting.driven() {
        wanted.push((Kind::Held, ram(0x700f)));
    }
    if setting.hole {
        wanted.push((Kind::MmioTable, number(HOLE - 2)));
    }
    wanted.extend(setting.no_map.map(|frame| (Kind::NoMap, ram(frame - 2))));
    // The test host would only break itself: with much memory the pool reaches it.
    let host = map.place(&Symbol::Host).unwrap_or_default();
    let place = |frame: u64| PhysAddr::new(frame.saturating_mul(PAGE_SIZE));
    let is_free = |group: &Group| (0..PAGES).all(|index| !host.contains(place(group.frame + index)));
    let found =
        wanted.into_iter().filter_map(|(kind, at)| Some(Group { kind, frame: map.frames(&at).ok()?, at }));
    found.filter(is_free).collect()
}

/// Blocks of memory that nothing else is in: the first frame of each, from the first of memory on.
pub(super) fn blocks(map: &AddressMap) -> Vec<u64> {
    let end = map.place(&Symbol::Ram).unwrap_or_default().size >> 12;
    (BLOCKS..end.saturating_sub(BLOCK))
        .step_by(BLOCK as usize)
        .filter(|block| block % GIBIBYTE != 0)
        .collect()
}
