//! What the specification asks of a state.

use std::collections::{BTreeMap, BTreeSet};

use parallax_addr::{PAGE_SHIFT, PAGE_SIZE, Pfn, PhysAddr, Span};
use parallax_model::leaf::OWNER_HYP;
use parallax_model::{Context, Ownership, Snapshot, run};

use crate::page::Page;

/// A state, as far as the specification looks at it.
pub trait View {
    /// How many page frames the host's address space has: its stage 2's input address size (VTCR_EL2.T0SZ).
    fn frames(&self) -> u64;

    /// The pages of `span`, in order and without a gap; neighbours that are alike may be one piece.
    fn pages(&self, span: Span<PhysAddr>) -> Vec<(Span<PhysAddr>, Page)>;
}

/// What pages became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Which.
    pub span: Span<PhysAddr>,
    /// What they are now.
    pub page: Page,
}

/// How often pages are pinned for devices that the hypervisor emulates. The page-state array counts those pins with the
/// others; they are told apart by what pinned the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held(BTreeMap<u64, u16>);

impl Held {
    /// That `pins` pins of `page` are for devices.
    pub fn set(&mut self, page: Pfn, pins: u16) {
        if pins == 0 {
            self.0.remove(&page.get())
        } else {
            self.0.insert(page.get(), pins)
        };
    }

    /// As it is after `effects`.
    #[must_use]
    pub fn after(&self, effects: &[Effect]) -> Self {
        let mut after = self.clone();
        for effect in effects {
            let held = if let Page::Lent { held, .. } = effect.page { held } else { 0 };
            let (first, end) = (effect.span.base.pfn().get(), effect.span.end().pfn().get());
            let known: Vec<u64> = after.0.range(first..end).map(|(pfn, _)| *pfn).collect();
            for pfn in known {
                after.0.remove(&pfn);
            }
            if held > 0 {
                after.0.extend((first..end).map(|pfn| (pfn, held)));
            }
        }
        after
    }

    /// That all of them are returned, but those of which it is not known how often they are pinned by calls, and `others`.
    pub(crate) fn returned(
        &self,
        view: &dyn View,
        unsure: &Unsure,
        others: &[Span<PhysAddr>],
    ) -> Vec<Effect> {
        let page = |pfn: &u64| Span::new(PhysAddr::new(pfn * PAGE_SIZE), PAGE_SIZE);
        let returned = |(span, page)| match page {
            Page::Lent { pins: 0, held: 1.. } => Some(Effect { span, page: Page::Host }),
            Page::Lent { pins, .. } => Some(Effect { span, page: Page::Lent { pins, held: 0 } }),
            _ => None,
        };
        let other = |pfn: &u64| others.iter().any(|span| span.contains(page(pfn).base));
        let known = self.0.keys().filter(|pfn| !unsure.0.contains(pfn) && !other(pfn));
        known.flat_map(|pfn| view.pages(page(pfn))).filter_map(returned).collect()
    }

    /// The pages of `span` one by one where some are held, all in one piece otherwise, each with its pins for devices.
    fn cut(&self, span: Span<PhysAddr>) -> Vec<(Span<PhysAddr>, u16)> {
        let mut pieces = Vec::new();
        let mut at = span.base;
        for (pfn, pins) in self.0.range(span.base.pfn().get()..span.end().pfn().get()) {
            let page = Span::new(PhysAddr::new(pfn * PAGE_SIZE), PAGE_SIZE);
            pieces.extend([(Span::between(at, page.base), 0), (page, *pins)]);
            at = page.end();
        }
        pieces.push((Span::between(at, span.end()), 0));
        pieces
    }
}

/// Pages, by their frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unsure(BTreeSet<u64>);

impl Unsure {
    pub(crate) fn add(&mut self, page: Pfn) {
        self.0.insert(page.get());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them is in `span`.
    pub(crate) fn has_any(&self, span: Span<PhysAddr>) -> bool {
        let end = span.end().get().div_ceil(PAGE_SIZE);
        self.0.range(span.base.pfn().get()..end.max(span.base.pfn().get())).next().is_some()
    }

    /// Only those that are pinned in the state that `view` shows.
    pub(crate) fn keep(&mut self, view: &dyn View) {
        let page = |pfn: u64| Span::new(PhysAddr::new(pfn * PAGE_SIZE), PAGE_SIZE);
        self.0.retain(|pfn| view.pages(page(*pfn)).iter().any(|(_, page)| page.is_pinned()));
    }
}

/// The state of a machine. The page-state array says what memory is, the host's table what MMIO is.
#[derive(Clone, Copy)]
pub struct Observed<'a> {
    /// The state.
    pub snapshot: &'a Snapshot,
    /// What machine it is of.
    pub context: &'a Context,
    /// What of its pins is for emulated devices.
    pub held: &'a Held,
}

impl Observed<'_> {
    /// Memory, of which image and pool are the hypervisor's own, and what is no-map is nobody's to give.
    fn memory(&self, span: Span<PhysAddr>, pages: &mut Vec<(Span<PhysAddr>, Page)>) {
        let layout = &self.snapshot.layout;
        let no_map = self.context.loaded.iter().filter(|loaded| loaded.no_map);
        let no_map = no_map.filter_map(|loaded| Some((loaded.span.whole_pages()?, Page::NoMap)));
        let mut apart: Vec<_> = layout.own().map(|own| (own, Page::Kept)).collect();
        apart.extend(no_map);
        apart.sort_unstable_by_key(|(span, _)| *span);
        let mut at = span.base;
        for (apart, page) in apart {
            if let Some(apart) = apart.intersect(Span::between(at, span.end())) {
                self.described(Span::between(at, apart.base), pages);
                pages.push((apart, page));
                at = apart.end();
            }
        }
        self.described(Span::between(at, span.end()), pages);
    }

    /// Memory that the page-state array describes. Nothing is known of what it leaves out: it is nobody's to give.
    fn described(&self, span: Span<PhysAddr>, pages: &mut Vec<(Span<PhysAddr>, Page)>) {
        for (span, state, _) in run::overlay::<_, _, ()>(self.snapshot.pages(), &[], span) {
            match state {
                Some(state) if state.host == Ownership::SharedOwned && state.refcount > 0 => {
                    let cut = self.held.cut(span).into_iter();
                    pages.extend(cut.map(|(span, held)| (span, Page::of(*state, held))));
                }
                state => pages.push((span, state.map_or(Page::Kept, |state| Page::of(*state, 0)))),
            }
        }
    }

    /// Everything else. The SMMU is what the hypervisor uses; other devices were taken from the host for good.
    fn mmio(&self, span: Span<PhysAddr>, pages: &mut Vec<(Span<PhysAddr>, Page)>) {
        let smmu = self.snapshot.layout.smmu;
        for (span, entry, _) in run::overlay::<_, _, ()>(self.snapshot.host(), &[], span.cast()) {
            let span = span.cast::<PhysAddr>();
            if !entry.is_some_and(|entry| entry.is_donated_to(OWNER_HYP)) {
                pages.push((span, Page::HostMmio));
                continue;
            }
            let used = smmu.intersect(span).unwrap_or(Span::new(span.end(), 0));
            pages.extend([
                (Span::between(span.base, used.base), Page::TakenMmio),
                (used, Page::UsedMmio),
                (Span::between(used.end(), span.end()), Page::TakenMmio),
            ]);
        }
    }
}

impl View for Observed<'_> {
    fn frames(&self) -> u64 {
        1 << (u32::from(self.snapshot.control().input_bits).clamp(PAGE_SHIFT, 52) - PAGE_SHIFT)
    }

    fn pages(&self, span: Span<PhysAddr>) -> Vec<(Span<PhysAddr>, Page)> {
        let mut pages = Vec::new();
        for (piece, memory) in self.context.pieces(span) {
            if memory { self.memory(piece, &mut pages) } else { self.mmio(piece, &mut pages) }
        }
        pages.retain(|(span, _)| !span.is_empty());
        pages
    }
}

/// A state after effects.
pub struct After<'a> {
    /// The state before them.
    pub before: &'a dyn View,
    /// The effects, in order.
    pub effects: &'a [Effect],
}

impl View for After<'_> {
    fn frames(&self) -> u64 {
        self.before.frames()
    }

    fn pages(&self, span: Span<PhysAddr>) -> Vec<(Span<PhysAddr>, Page)> {
        let mut pages = self.before.pages(span);
        for effect in self.effects.iter().filter(|effect| effect.span.overlaps(span)) {
            pages = pages.into_iter().flat_map(|piece| cut(piece, effect)).collect();
        }
        pages
    }
}

/// The parts of `piece` before, in and behind `effect`.
fn cut(
    (span, page): (Span<PhysAddr>, Page),
    effect: &Effect,
) -> impl Iterator<Item = (Span<PhysAddr>, Page)> {
    let inside = effect.span.intersect(span).unwrap_or(Span::new(span.end(), 0));
    let parts = [
        (Span::between(span.base, inside.base), page),
        (inside, effect.page),
        (Span::between(inside.end(), span.end()), page),
    ];
    parts.into_iter().filter(|(span, _)| !span.is_empty())
}
