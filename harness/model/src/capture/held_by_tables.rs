//! Page states of which a part stands in the parties' own tables: bits 56:55 of a leaf, and the owner in an entry that is not valid.

use std::collections::BTreeMap;

use parallax_addr::{HypVa, Ipa, PhysAddr, Span};

use crate::leaf::{S1Entry, S2Entry};
use crate::page::{Ownership, PageState};
use crate::run::{self, Run};
use crate::runs::Runs;
use crate::snapshot::{AddressSpace, Layout, Mapping};
use crate::told::PageFormat;

/// Owner field of an annotated entry: the host.
const OWNER_HOST: u8 = parallax_abi::page::OWNER_HOST as u8;
/// The same: the hypervisor.
const OWNER_HYP: u8 = parallax_abi::page::OWNER_HYP as u8;

/// The states that an array of this `format` holds, `pages`, with the rest from `spaces`.
pub(super) fn pages(
    format: PageFormat,
    pages: Runs<PhysAddr, PageState>,
    spaces: &BTreeMap<AddressSpace, Mapping>,
    layout: &Layout,
) -> Runs<PhysAddr, PageState> {
    if format.is_whole() {
        return pages;
    }
    let host: &[Run<Ipa, S2Entry>] = match spaces.get(&AddressSpace::Host) {
        Some(Mapping::Stage2(entries)) => entries,
        _ => &[],
    };
    let el2: &[Run<HypVa, S1Entry>] = match spaces.get(&AddressSpace::El2) {
        Some(Mapping::Stage1(entries)) => entries,
        _ => &[],
    };
    let mut all = Vec::with_capacity(pages.len());
    for known in &pages {
        let at = HypVa::new(known.base.get().wrapping_add(layout.linear_offset));
        let mut offset = 0;
        for (span, of_hyp, _) in run::overlay::<_, _, ()>(el2, &[], Span::new(at, known.size)) {
            let inner = Span::new(known.base.wrapping_add(offset), span.size);
            offset += span.size;
            for (part, of_host, _) in run::overlay::<_, _, ()>(host, &[], inner.cast::<Ipa>()) {
                let mut state = known.value;
                if format.host.is_none() {
                    state.host = host_relation(of_host);
                }
                if format.hyp_inverted.is_none() {
                    state.hyp = hyp_relation(of_hyp, of_host);
                }
                run::push(&mut all, Run::new(part.cast(), state));
            }
        }
    }
    all.into()
}

/// The relation in software bits `sw`, bits 58:55 of a leaf.
fn relation(sw: u8) -> Ownership {
    Ownership::from_bits(u64::from(sw & 0b11))
}

/// What is not mapped yet is the host's.
fn host_relation(entry: Option<&S2Entry>) -> Ownership {
    match entry {
        Some(S2Entry::Mapped(leaf)) => relation(leaf.sw),
        Some(entry) if entry.annotation().is_none_or(|note| note.owner != OWNER_HOST) => Ownership::NoPage,
        _ => Ownership::Owned,
    }
}

/// What is not in EL2's linear map may be the hypervisor's all the same, its stacks for one: then the host's entry names it as the owner.
fn hyp_relation(entry: Option<&S1Entry>, of_host: Option<&S2Entry>) -> Ownership {
    let owner = of_host.and_then(S2Entry::annotation).map(|note| note.owner);
    match entry.and_then(S1Entry::leaf) {
        Some(leaf) => relation(leaf.sw),
        None if owner == Some(OWNER_HYP) => Ownership::Owned,
        None => Ownership::NoPage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::told::Field;

    const FORMAT: PageFormat = PageFormat {
        size: 4,
        host: None,
        hyp_inverted: None,
        refcount: Field { shift: 0, bits: 16 },
        share_count: None,
    };

    #[test]
    fn without_any_table_all_is_the_hosts() {
        let span = Span::new(PhysAddr::new(0x4000_0000), 0x4000);
        let state = PageState { refcount: 3, ..PageState::HOST_OWNED };
        let known: Runs<_, _> = vec![Run::new(span, state)].into();
        let read = |format| pages(format, known.clone(), &BTreeMap::new(), &Layout::default());
        assert_eq!(read(FORMAT), known);
        assert!(read(PageFormat::OURS).is_shared_with(&known));
    }

    #[test]
    fn owners_and_software_bits_are_relations() {
        let annotated = |raw| host_relation(Some(&S2Entry::Annotated { raw }));
        assert_eq!(annotated(0x2000_0000_0000_0002), Ownership::NoPage);
        assert_eq!(annotated(0x2000_0000_0000_0000), Ownership::Owned);
        assert_eq!(host_relation(None), Ownership::Owned);
        assert_eq!(host_relation(Some(&S2Entry::Malformed { raw: 1 })), Ownership::NoPage);
        assert_eq!((relation(1), relation(0b1110)), (Ownership::SharedOwned, Ownership::SharedBorrowed));
        assert_eq!(hyp_relation(None, None), Ownership::NoPage);
        let named = |raw| hyp_relation(None, Some(&S2Entry::Annotated { raw }));
        assert_eq!(named(0x2000_0000_0000_0000 | u64::from(OWNER_HYP) << 1), Ownership::Owned);
        assert_eq!(named(0x2000_0000_0000_0000), Ownership::NoPage);
    }
}
