//! Pages of virtual machines.

use parallax_addr::{Ipa, PhysAddr, VmHandle, Vmid};

use super::*;
use crate::page::Ownership;
use crate::run::Run;
use crate::snapshot::{AddressSpace, Guest, Mapping};

/// A page that is lent to `share_count` virtual machines.
const fn lent(share_count: u32) -> PageState {
    PageState { host: Ownership::SharedOwned, hyp: Ownership::NoPage, refcount: 0, share_count }
}

/// A state with virtual machines 0x1000 and behind, each of which maps each of `pages` once.
fn with_guests(count: u16, pages: &[Span]) -> Snapshot {
    let mut state = clean();
    let mut guests = Vec::new();
    for number in 0..count {
        let handle = VmHandle::new(0x1000 + u32::from(number));
        let root = Some(PhysAddr::new(POOL.base + 0x8000));
        guests.push(Guest { handle, vmid: Vmid::new(1 + number), root, input_bits: BITS });
        let mut entries = Vec::new();
        for (index, page) in (0_u64..).zip(pages) {
            let ipa = 0x8000_0000 + index * 0x1_0000;
            let leaf = S2Leaf { offset: page.base.wrapping_sub(ipa), sw: 2, ..MEMORY };
            let span = Span::new(Ipa::new(ipa), page.size);
            entries.push(Run::new(span, S2Entry::Mapped(leaf)));
        }
        state.spaces.insert(AddressSpace::Guest(handle), Mapping::Stage2(entries.into()));
    }
    state.guests = Some(guests.into());
    state
}

#[test]
fn a_guest_maps_what_is_lent_to_it() {
    let mut state = with_guests(1, &[PAGE]);
    set(pages_mut(&mut state), PAGE, Some(lent(1)));
    assert_eq!(found(&state), []);
    let mut two = with_guests(2, &[PAGE]);
    set(pages_mut(&mut two), PAGE, Some(lent(2)));
    assert_eq!(found(&two), []);
}

#[test]
fn a_guest_maps_a_page_of_its_own() {
    let mut state = with_guests(1, &[PAGE]);
    set(pages_mut(&mut state), PAGE, Some(PageState { host: Ownership::NoPage, ..lent(0) }));
    let guests = S2Entry::Annotated { raw: 2 << 60 | 2 << 1 };
    set(host_mut(&mut state), PAGE, Some(guests));
    set(smmu_entries(&mut state), PAGE, None);
    assert_eq!(found(&state), []);
    set(host_mut(&mut state), PAGE, Some(HYP));
    assert!(found(&state).contains(&("guest-page", PAGE_NAME.into())));
}

#[test]
fn a_guest_that_maps_what_is_not_lent_is_seen() {
    for state in [PageState::HOST_OWNED, SHARED_PAGE, HYP_PAGE] {
        let mut guest = with_guests(1, &[PAGE]);
        set(pages_mut(&mut guest), PAGE, Some(state));
        assert!(found(&guest).contains(&("guest-page", PAGE_NAME.into())), "{state:?}");
    }
    // What is described nowhere is lent to nobody.
    let beyond = with_guests(1, &[Span::new(RAM.end(), 0x1000)]);
    assert_eq!(found(&beyond).iter().map(|(rule, _)| *rule).collect::<Vec<_>>(), ["guest-page"]);
}

#[test]
fn a_page_is_lent_as_often_as_it_is_mapped() {
    for (guests, count) in [(1, 2), (2, 1), (0, 1)] {
        let mut state = with_guests(guests, &[PAGE]);
        set(pages_mut(&mut state), PAGE, Some(lent(count)));
        assert_eq!(found(&state), one("guest-count", PAGE_NAME), "{guests} map it, {count} are counted");
    }
    let mut twice = with_guests(1, &[PAGE, PAGE]);
    set(pages_mut(&mut twice), PAGE, Some(lent(2)));
    assert_eq!(found(&twice), [], "one that maps it at two addresses has it twice");
}

#[test]
fn nothing_is_said_where_guests_are_not_known_or_cannot_be_read() {
    let mut state = clean();
    set(pages_mut(&mut state), PAGE, Some(lent(1)));
    assert_eq!(found(&state), []);
    let mut unread = with_guests(1, &[]);
    unread.spaces.remove(&AddressSpace::Guest(VmHandle::new(0x1000)));
    set(pages_mut(&mut unread), PAGE, Some(lent(1)));
    assert_eq!(found(&unread), []);
}
