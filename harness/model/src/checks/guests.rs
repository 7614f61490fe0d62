//! Pages of virtual machines: their stage 2 against the page states.

use std::collections::BTreeMap;

use parallax_addr::{PAGE_SIZE, PhysAddr, Span};

use super::findings::Findings;
use crate::check::Space;
use crate::leaf::{OWNER_GUEST, S2Entry};
use crate::page::{Ownership, PageState};
use crate::rule::Rule;
use crate::run::{self, Run};

/// Judges each page that a virtual machine maps, and each that is counted as lent to one. Nothing without the page states, or where
/// the virtual machines are not known.
pub(super) fn check(findings: &mut Findings<'_>) {
    let snapshot = findings.snapshot;
    let (Some(guests), Some(pages)) = (&snapshot.guests, &snapshot.pages) else { return };
    let mut mapped: BTreeMap<PhysAddr, u32> = BTreeMap::new();
    for (handle, entries) in snapshot.guest_spaces() {
        for run in entries.iter() {
            let Some(leaf) = run.value.leaf() else { continue };
            let output = leaf.outputs(run.span());
            for (span, page, _) in run::overlay::<_, _, ()>(pages, &[], output) {
                if !page.is_some_and(|page| is_for_a_guest(findings, span, page)) {
                    let message =
                        format!("virtual machine {handle} maps a page that is not lent to it or its own");
                    findings.add(Rule::OwnershipGuestPage, Space::Page, span, &message);
                }
            }
            for page in output.pages() {
                *mapped.entry(page).or_default() += 1;
            }
        }
    }
    // A stage 2 that is not there yet maps nothing; one that cannot be read is no evidence.
    if snapshot.guest_spaces().count() != guests.iter().filter(|guest| guest.root.is_some()).count() {
        return;
    }
    for lent in pages.iter().filter(|run| run.value.share_count > 0) {
        for page in lent.span().pages() {
            counted(findings, page, lent, mapped.remove(&page).unwrap_or(0));
        }
    }
}

/// Whether `page` is lent to virtual machines, or belongs to one.
fn is_for_a_guest(findings: &Findings<'_>, span: Span<PhysAddr>, page: &PageState) -> bool {
    match (page.host, page.hyp) {
        (Ownership::SharedOwned, Ownership::NoPage) => page.share_count > 0,
        (Ownership::NoPage | Ownership::SharedBorrowed, Ownership::NoPage) => {
            let host = findings.snapshot.host();
            let given = |entry: &S2Entry| entry.is_donated_to(OWNER_GUEST);
            page.host == Ownership::SharedBorrowed
                || run::overlay::<_, _, ()>(host, &[], span.cast())
                    .all(|(_, entry, _)| entry.is_some_and(given))
        }
        _ => false,
    }
}

fn counted(findings: &mut Findings<'_>, page: PhysAddr, lent: &Run<PhysAddr, PageState>, mapped: u32) {
    let counted = lent.value.share_count;
    if mapped != counted {
        let message =
            format!("the page is counted as lent to {counted} virtual machines, and {mapped} map it");
        findings.add(Rule::OwnershipGuestCount, Space::Page, Span::new(page, PAGE_SIZE), &message);
    }
}
