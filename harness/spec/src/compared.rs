//! Pages as they are behind a step, and as the specification says that they should be: whose they are, and who reaches them.

use parallax_addr::{HypVa, Ipa, Pfn, PhysAddr, Point, Span};
use parallax_model::leaf::OWNER_HYP;
use parallax_model::{Context, Finding, Freedom, Rule, SmmuMode, Snapshot, Space, Violation, run};
use parallax_vmsa::PhysMem;

use crate::page::Page;
use crate::view::{Held, Observed, Unsure, View};

/// A step: the states around it.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// The state before it.
    pub before: &'a Snapshot,
    /// The state after it.
    pub after: &'a Snapshot,
    /// What machine it is.
    pub context: &'a Context,
    /// Memory after it.
    pub memory: &'a dyn PhysMem,
}

/// What changed in any record.
pub(crate) fn differences(around: Around<'_>) -> Vec<Span<PhysAddr>> {
    let Around { before, after, .. } = around;
    let mut spans = run::differences(before.pages(), after.pages());
    spans.extend(run::differences(before.host(), after.host()).into_iter().map(Span::cast));
    for (old, new) in tables(before).zip(tables(after)) {
        spans.extend(run::differences(old, new).into_iter().map(Span::cast));
    }
    let linear = before.layout.linear_offset;
    let physical = |span: Span<HypVa>| {
        Some(Span::new(PhysAddr::new(u64::checked_sub(span.base.number(), linear)?), span.size))
    };
    spans.extend(run::differences(before.el2(), after.el2()).into_iter().filter_map(physical));
    spans
}

/// `spans` in order, those that touch or overlap made one.
pub(crate) fn disjoint(mut spans: Vec<Span<PhysAddr>>) -> Vec<Span<PhysAddr>> {
    spans.retain(|span| !span.is_empty());
    spans.sort_unstable();
    let mut disjoint: Vec<Span<PhysAddr>> = Vec::with_capacity(spans.len());
    for span in spans {
        match disjoint.last_mut() {
            Some(last) if span.base <= last.end() => {
                *last = Span::between(last.base, last.end().max(span.end()));
            }
            _ => disjoint.push(span),
        }
    }
    disjoint
}

/// The stage-2 tables of the SMMU.
fn tables(state: &Snapshot) -> impl Iterator<Item = &[run::Run<Ipa, parallax_model::S2Entry>]> {
    state.smmu.iter().flat_map(|smmu| &smmu.tables).map(|table| &*table.entries)
}

/// What is and what should be, of pages.
pub(crate) struct Comparison<'a> {
    around: Around<'a>,
    held: &'a Held,
    /// Whether devices may have lent the host's memory to the hypervisor, or may have returned it.
    lends: bool,
    unsure: &'a Unsure,
    /// Pins for devices now, of pages where that changed.
    lent: Vec<(Pfn, u16)>,
    found: Vec<(Rule, Span<PhysAddr>, String)>,
}

impl<'a> Comparison<'a> {
    /// Of the states `around` a step, after which devices hold pages as `held` says.
    pub(crate) const fn new(around: Around<'a>, held: &'a Held, lends: bool, unsure: &'a Unsure) -> Self {
        Self { around, held, lends, unsure, lent: Vec::new(), found: Vec::new() }
    }

    /// Each page of `span` should be as `expected` says.
    pub(crate) fn compare(&mut self, span: Span<PhysAddr>, expected: &dyn View) {
        let Around { after, context, .. } = self.around;
        let observed = Observed { snapshot: after, context, held: self.held };
        for (span, wanted) in expected.pages(span) {
            for (span, is) in observed.pages(span) {
                let lends = is != wanted && (self.lends || self.unsure.has_any(span));
                let lent = lends.then(|| lent(wanted, is)).flatten();
                if let Some(held) = lent {
                    self.lent.extend(span.pages().map(|page| (page.pfn(), held)));
                } else if is != wanted {
                    self.add(Rule::SpecPage, span, format!("expected {wanted}, is {is}"));
                }
                self.reach(span, if lent.is_some() { is } else { wanted });
            }
        }
    }

    /// Who reaches `span`, of which each page should be `page`.
    fn reach(&mut self, span: Span<PhysAddr>, page: Page) {
        let Around { after, context, .. } = self.around;
        let wanted = page.is_the_hosts();
        for (part, entry, _) in run::overlay::<_, _, ()>(after.host(), &[], span.cast::<Ipa>()) {
            let is = !entry.is_some_and(|entry| entry.is_donated_to(OWNER_HYP));
            self.reaches("the host's CPUs", part.cast(), (page, wanted, is));
        }
        // Where the SMMU walks the CPU's table, MMIO is there when the CPU has used it.
        if page.is_memory() || context.smmu == SmmuMode::Shadow {
            let bits = after.smmu.as_ref().map_or(0, |smmu| smmu.control.output_bits);
            let limit = Span::new(PhysAddr::new(0), 1_u64 << bits.min(after.control().input_bits).min(63));
            let seen = span.intersect(limit);
            for (table, seen) in tables(after).filter_map(|table| Some((table, seen?))) {
                for (part, entry, _) in run::overlay::<_, _, ()>(table, &[], seen.cast::<Ipa>()) {
                    let is = entry.is_some_and(|entry| entry.leaf().is_some());
                    self.reaches("the host's devices", part.cast(), (page, wanted, is));
                }
            }
        }
        if page.is_memory() && page != Page::Kept {
            let at = HypVa::new(span.base.get().wrapping_add(after.layout.linear_offset));
            for (part, entry, _) in run::overlay::<_, _, ()>(after.el2(), &[], Span::new(at, span.size)) {
                let base = PhysAddr::new(part.base.get().wrapping_sub(after.layout.linear_offset));
                let is = entry.is_some_and(|entry| entry.leaf().is_some());
                let part = Span::new(base, part.size);
                let loan = matches!(page, Page::Lent { .. }) && context.freedoms.allow(Freedom::MapsLoans);
                self.reaches("EL2", part, (page, page.is_mapped_at_el2() || loan && is, is));
                // Data of the host's, or that was, is no code of the hypervisor's.
                if entry.is_some_and(|entry| entry.leaf().is_some_and(|leaf| leaf.exec)) {
                    self.add(
                        Rule::SpecReach,
                        part,
                        format!("the page is {page}: EL2 must not execute it and can"),
                    );
                }
            }
        }
    }

    fn reaches(&mut self, who: &str, span: Span<PhysAddr>, (page, wanted, is): (Page, bool, bool)) {
        if is != wanted {
            let verb = if wanted { "must reach it and cannot" } else { "must not reach it and can" };
            self.add(Rule::SpecReach, span, format!("the page is {page}: {who} {verb}"));
        }
    }

    /// Neighbours of which the same is said are one finding.
    fn add(&mut self, rule: Rule, span: Span<PhysAddr>, message: String) {
        let same = |known: &&mut (Rule, Span<PhysAddr>, String)| {
            known.0 == rule && known.1.end() == span.base && known.2 == message
        };
        match self.found.iter_mut().rev().take(8).find(same) {
            Some(known) => known.1.size += span.size,
            None => self.found.push((rule, span, message)),
        }
    }

    /// What was found, and pins for devices that changed.
    pub(crate) fn end(self) -> (Vec<Finding>, Vec<(Pfn, u16)>) {
        let Around { after, context, .. } = self.around;
        let finding = |(rule, span, message): (Rule, Span<PhysAddr>, String)| {
            let subject = context.symbols.span(span);
            let (space, span) = (Space::Page, span.cast());
            Violation { rule, space, span, subject, message, function: None }.in_state(after, context)
        };
        (self.found.into_iter().map(finding).collect(), self.lent)
    }
}

/// The pins for devices of a page that should be `wanted` and is `is`, if devices may have made that of it: they pin and
/// unpin, and leave alone what calls have pinned.
fn lent(wanted: Page, is: Page) -> Option<u16> {
    let pins = match wanted {
        Page::Host => 0,
        Page::Lent { pins, .. } => pins,
        _ => return None,
    };
    match is {
        Page::Host if pins == 0 => Some(0),
        Page::Lent { .. } => is.all_pins().checked_sub(pins),
        _ => None,
    }
}
