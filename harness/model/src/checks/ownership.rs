//! Check 3: every page has one owner, and every record of it says so.
//!
//! Four records are held against each other for each page of memory: the host's page state, the hypervisor's, the
//! host's stage-2 entry, and EL2's stage 1. MMIO has no page state; there the stage-2 entry is the only record.

use parallax_addr::{Ipa, PhysAddr, Span};
use parallax_vmsa::{AnnotationType, MemType};

use super::findings::Findings;
use super::guests;
use crate::check::Space;
use crate::context::Context;
use crate::finding::Finding;
use crate::freedom::Freedom;
use crate::leaf::{OWNER_GUEST, OWNER_HYP, S2Entry};
use crate::page::{Ownership, PageState};
use crate::rule::Rule;
use crate::run::{self, Run};
use crate::snapshot::Snapshot;

/// Judges every page that has a state, and every mapping of EL2.
#[must_use]
pub fn check(snapshot: &Snapshot, context: &Context) -> Vec<Finding> {
    let mut findings = Findings::new(snapshot, context);
    for page_run in snapshot.pages() {
        parties(&mut findings, page_run.span(), &page_run.value);
        for (span, entry, _) in run::overlay::<_, _, ()>(snapshot.host(), &[], page_run.span().cast()) {
            stage2(&mut findings, span, &page_run.value, entry);
        }
    }
    el2(&mut findings);
    devices(&mut findings);
    guests::check(&mut findings);
    missing(&mut findings);
    loaded(&mut findings, context);
    findings.list
}

/// What the device tree gives a purpose is neither the image's nor the pool's, and of what is not to be mapped the
/// hypervisor has nothing at all.
fn loaded(findings: &mut Findings<'_>, context: &Context) {
    let layout = &findings.snapshot.layout;
    for loaded in &context.loaded {
        for span in layout.own().filter_map(|own| own.intersect(loaded.span)) {
            findings.add(
                Rule::OwnershipLoaded,
                Space::Page,
                span,
                "the hypervisor lies over what the loader put there",
            );
        }
        if !loaded.no_map {
            continue;
        }
        let snapshot = findings.snapshot;
        for (span, page, _) in run::overlay::<_, _, ()>(snapshot.pages(), &[], loaded.span) {
            if page.is_some_and(|page| page.hyp != Ownership::NoPage) {
                findings.add(
                    Rule::OwnershipLoaded,
                    Space::Page,
                    span,
                    "the hypervisor has a page that nobody is to map",
                );
            }
        }
    }
}

/// The two parties' states against each other, and against the counts.
fn parties(findings: &mut Findings<'_>, span: Span<PhysAddr>, page: &PageState) {
    use Ownership::{NoPage, Owned, SharedBorrowed, SharedOwned};
    let guests = page.share_count > 0;
    let wrong = match (page.host, page.hyp) {
        (Owned | SharedBorrowed, NoPage) if !guests => None,
        (SharedOwned, SharedBorrowed) | (NoPage, Owned | NoPage) if !guests => None,
        (SharedOwned, NoPage) if guests => None,
        (SharedBorrowed, SharedOwned) if !guests => None,
        (Owned, Owned | SharedOwned) | (SharedOwned, Owned | SharedOwned) => {
            Some("host and hypervisor both own the page")
        }
        (_, SharedBorrowed) => Some("the hypervisor borrows what the host does not share"),
        (SharedOwned, _) => Some("the host shares with nobody"),
        (SharedBorrowed, _) => Some("the host borrows what nobody shares with it"),
        (NoPage, SharedOwned) => Some("the hypervisor shares with nobody"),
        (Owned | NoPage, _) => Some("guests are counted for a page that the host does not share"),
    };
    if let Some(message) = wrong {
        findings.add(Rule::OwnershipParties, Space::Page, span, message);
    }
    if page.hyp == NoPage && page.refcount > 0 {
        findings.add(
            Rule::OwnershipReference,
            Space::Page,
            span,
            "the hypervisor holds references to a page that it has no right to",
        );
    }
}

/// The host's state against its stage-2 entry.
fn stage2(findings: &mut Findings<'_>, span: Span<Ipa>, page: &PageState, entry: Option<&S2Entry>) {
    let note = entry.and_then(S2Entry::annotation);
    if page.host != Ownership::NoPage {
        if note.is_some() {
            findings.add(
                Rule::OwnershipAnnotation,
                Space::Page,
                span,
                "the host has the page, but its stage 2 gives it to another",
            );
        }
        return;
    }
    if entry.and_then(S2Entry::leaf).is_some_and(|leaf| findings.is_readable_code(leaf, leaf.outputs(span))) {
        return;
    }
    let Some(note) = note else {
        findings.add(
            Rule::OwnershipAnnotation,
            Space::Page,
            span,
            "the host has given the page away, but its stage 2 does not say so",
        );
        return;
    };
    let hyp_owns = matches!(page.hyp, Ownership::Owned | Ownership::SharedOwned);
    match (note.ty, note.owner) {
        (AnnotationType::Donation, OWNER_HYP) if !hyp_owns => {
            findings.add(
                Rule::OwnershipOwner,
                Space::Page,
                span,
                "stage 2 gives the page to the hypervisor, which does not own it",
            );
        }
        (AnnotationType::Donation, OWNER_GUEST) if hyp_owns => {
            findings.add(
                Rule::OwnershipOwner,
                Space::Page,
                span,
                "stage 2 gives the page to a guest, but the hypervisor owns it",
            );
        }
        (AnnotationType::Donation, OWNER_HYP | OWNER_GUEST) => {}
        (AnnotationType::Donation, _) => {
            findings.add(
                Rule::OwnershipOwner,
                Space::Page,
                span,
                "stage 2 gives the page to nobody that exists",
            );
        }
        (AnnotationType::Locked | AnnotationType::Poisoned | AnnotationType::Unknown(_), _) => {
            findings.add(
                Rule::OwnershipOwner,
                Space::Page,
                span,
                "the entry was left in the middle of a change",
            );
        }
    }
}

/// MMIO that EL2 has mapped is the hypervisor's, unless both use it: MMIO has no page state, so the mapping is the evidence.
fn devices(findings: &mut Findings<'_>) {
    let (snapshot, context) = (findings.snapshot, findings.context);
    for el2_run in snapshot.el2() {
        let leaf = el2_run.value.leaf().filter(|leaf| matches!(leaf.mem(), Some(MemType::Device(_))));
        let Some(leaf) = leaf else { continue };
        let output = leaf.outputs(el2_run.span());
        for (part, entry, _) in run::overlay::<_, _, ()>(snapshot.host(), &[], output.cast::<Ipa>()) {
            let is_common = context.common.iter().any(|common| common.cast().intersect(part) == Some(part));
            if !is_common && !entry.is_some_and(|entry| entry.is_donated_to(OWNER_HYP)) {
                let at = leaf.inputs(part.cast());
                let message = "EL2 uses registers that the host's table does not keep from the host";
                findings.add(Rule::OwnershipEl2Device, Space::El2, at, message);
            }
        }
    }
}

/// What EL2 owns or has pinned it has mapped; of its image it has what it uses.
fn missing(findings: &mut Findings<'_>) {
    let snapshot = findings.snapshot;
    let mapped = mapped(snapshot);
    for page_run in snapshot.pages() {
        let wanted = match page_run.value {
            PageState { hyp: Ownership::Owned | Ownership::SharedOwned, .. } => true,
            PageState { hyp: Ownership::SharedBorrowed, refcount, .. } => refcount > 0,
            PageState { hyp: Ownership::NoPage, .. } => false,
        };
        if !wanted {
            continue;
        }
        for (span, mapping, _) in run::overlay::<_, _, ()>(&mapped, &[], page_run.span()) {
            if mapping.is_none() {
                let message = "EL2 does not map a page that it owns or has pinned";
                findings.add(Rule::OwnershipEl2Missing, Space::Page, span, message);
            }
        }
    }
}

/// The memory that EL2 has mapped anywhere, and its image.
fn mapped(snapshot: &Snapshot) -> Vec<Run<PhysAddr, ()>> {
    let leaves = snapshot.el2().iter().filter_map(|run| Some(run.value.leaf()?.outputs(run.span())));
    let mut spans: Vec<Span<PhysAddr>> = leaves.chain([snapshot.layout.image]).collect();
    spans.sort_unstable();
    let mut mapped: Vec<Run<PhysAddr, ()>> = Vec::with_capacity(spans.len());
    for span in spans {
        let from = mapped.last().map_or(span.base, |last| last.end().max(span.base));
        if from < span.end() {
            run::push(&mut mapped, Run::new(Span::between(from, span.end()), ()));
        }
    }
    mapped
}

/// What EL2 maps it must own, or have pinned.
fn el2(findings: &mut Findings<'_>) {
    let snapshot = findings.snapshot;
    let loans = findings.context.freedoms.allow(Freedom::MapsLoans);
    for el2_run in snapshot.el2() {
        let Some(leaf) = el2_run.value.leaf() else { continue };
        let output = leaf.outputs(el2_run.span());
        for (part, page) in run::within(snapshot.pages(), output) {
            let at = leaf.inputs(part);
            match page.hyp {
                Ownership::Owned | Ownership::SharedOwned => {}
                Ownership::SharedBorrowed if page.refcount > 0 || loans => {}
                Ownership::SharedBorrowed => {
                    findings.add(
                        Rule::OwnershipEl2Unpinned,
                        Space::El2,
                        at,
                        "EL2 maps a page that it has borrowed and not pinned",
                    );
                }
                Ownership::NoPage => {
                    findings.add(
                        Rule::OwnershipEl2Mapped,
                        Space::El2,
                        at,
                        "EL2 maps a page that is not the hypervisor's",
                    );
                }
            }
        }
    }
}
