//! Each rule, seen to speak on a planted violation and to be silent without it.

use parallax_addr::{PhysAddr, Span};
use parallax_trace::spec::{MmioPolicy, SmmuMode};
use parallax_trace::tree::Loaded;
use parallax_vmsa::SysRegs;

use super::*;
use crate::context::Context;
use crate::leaf::{S1Entry, S2Entry, S2Leaf};
use crate::page::{Ownership, PageState};
use crate::rule::Rule;
use crate::snapshot::{Cpu, Snapshot};
use crate::testing::*;

mod isolation;

/// Rule and subject of every finding.
fn found(state: &Snapshot) -> Vec<(&'static str, String)> {
    found_in(state, &context())
}

fn found_in(state: &Snapshot, context: &Context) -> Vec<(&'static str, String)> {
    let findings = check(state, context);
    // What was silent on a clean state is not asked again, and would have said nothing.
    for before in [clean(), donated()] {
        let mut checks = Checks::default();
        checks.check(None, &before, context);
        assert_eq!(checks.check(Some(&before), state, context), findings);
    }
    findings.into_iter().map(|finding| (finding.rule.name(), finding.subject.clone())).collect()
}

/// What is found after `plant` has changed a clean state.
fn planted(plant: impl FnOnce(&mut Snapshot)) -> Vec<(&'static str, String)> {
    let mut state = clean();
    plant(&mut state);
    found(&state)
}

fn one(rule: &'static str, subject: &str) -> Vec<(&'static str, String)> {
    vec![(rule, subject.to_owned())]
}

fn named((rule, subject): (&'static str, &str)) -> (&'static str, String) {
    (rule, subject.to_owned())
}

const PAGE_NAME: &str = "ram+0x800000..+0x801000";

#[test]
fn nothing_is_found_in_clean_states() {
    assert_eq!(found(&clean()), []);
    assert_eq!(found(&donated()), []);
    let mut shared = clean();
    set(pages_mut(&mut shared), PAGE, Some(SHARED_PAGE));
    assert_eq!(found(&shared), []);
    set(pages_mut(&mut shared), PAGE, Some(PageState { refcount: 1, ..SHARED_PAGE }));
    let va = Span::new(PAGE.base + LINEAR, PAGE.size);
    set(el2_mut(&mut shared), va, Some(el2(LINEAR.wrapping_neg(), true, false)));
    assert_eq!(found(&shared), []);
}

mod guests;

#[test]
fn sync_sees_what_devices_keep() {
    let mut state = donated();
    set(smmu_entries(&mut state), PAGE, Some(S2Entry::Mapped(MEMORY)));
    assert_eq!(found(&state), one("extra", PAGE_NAME));
}

#[test]
fn sync_sees_what_devices_lose() {
    assert_eq!(planted(|state| set(smmu_entries(state), PAGE, None)), one("missing", PAGE_NAME));
    let malformed = Some(S2Entry::Malformed { raw: 1 });
    let both = planted(|state| set(smmu_entries(state), PAGE, malformed));
    assert_eq!(both, [("missing", PAGE_NAME.into()), ("malformed", PAGE_NAME.into())]);
}

#[test]
fn sync_wants_zero_entries_of_the_host_mapped_for_devices() {
    let last = Span::new(RAM.end() - 0x1000, 0x1000);
    assert_eq!(
        planted(|state| set(smmu_entries(state), last, None)),
        one("missing", "ram+0xfff000..ram_end")
    );
}

#[test]
fn sync_compares_addresses_and_permissions() {
    let plant = |leaf: S2Leaf| planted(|state| set(smmu_entries(state), PAGE, Some(S2Entry::Mapped(leaf))));
    assert_eq!(plant(S2Leaf { offset: 0x1000, ..MEMORY }), one("address", PAGE_NAME));
    assert_eq!(plant(S2Leaf { write: false, ..MEMORY }), one("permission", PAGE_NAME));
    assert_eq!(plant(S2Leaf { af: false, ..MEMORY }), one("access-flag", PAGE_NAME));
    let read_only = planted(|state| {
        set(host_mut(state), PAGE, Some(S2Entry::Mapped(S2Leaf { write: false, ..MEMORY })));
    });
    assert_eq!(
        read_only,
        [("permission", PAGE_NAME.into()), ("permission", PAGE_NAME.into())],
        "sync and sanity"
    );
}

#[test]
fn sync_asks_for_the_memory_type_of_the_policy() {
    let device = planted(|state| set(smmu_entries(state), PAGE, Some(S2Entry::Mapped(DEVICE))));
    assert_eq!(device, one("memory-type", PAGE_NAME));
    let cached = planted(|state| set(smmu_entries(state), UART, Some(S2Entry::Mapped(MEMORY))));
    assert_eq!(cached, one("memory-type", "mmio:uart"));

    let cacheable = Context { mmio: MmioPolicy::Cacheable, ..context() };
    let mut state = clean();
    assert!(found_in(&state, &cacheable).iter().all(|(rule, _)| *rule == "memory-type"));
    assert!(!found_in(&state, &cacheable).is_empty());
    for run in smmu_entries(&mut state) {
        run.value = S2Entry::Mapped(MEMORY);
    }
    assert_eq!(found_in(&state, &cacheable), []);

    let prot = Context { mmio: MmioPolicy::Prot, ..context() };
    assert_eq!(found_in(&clean(), &prot), []);
    let mut state = clean();
    set(host_mut(&mut state), PAGE, Some(S2Entry::Mapped(MMIO)));
    let rules: Vec<_> = found_in(&state, &prot).into_iter().map(|(rule, _)| rule).collect();
    assert_eq!(rules, ["memory-type", "execute"], "RW without X asks for Device");
}

#[test]
fn sync_in_shared_mode_takes_the_cpus_types() {
    let shared = Context { smmu: SmmuMode::Shared, ..context() };
    let mut state = clean();
    set(host_mut(&mut state), Span::new(0, 1 << BITS), Some(S2Entry::Mapped(MMIO)));
    set(host_mut(&mut state), RAM, Some(S2Entry::Mapped(MEMORY)));
    for own in [IMAGE, POOL, SMMU] {
        set(host_mut(&mut state), own, Some(HYP));
    }
    *smmu_entries(&mut state) = state.host().to_vec();
    let extra = found_in(&state, &shared);
    assert!(extra.is_empty(), "{extra:?}");
    set(smmu_entries(&mut state), PAGE, Some(S2Entry::Mapped(DEVICE)));
    assert_eq!(found_in(&state, &shared), one("memory-type", PAGE_NAME));
    set(host_mut(&mut state), PAGE, None);
    set(smmu_entries(&mut state), PAGE, None);
    assert_eq!(found_in(&state, &shared), one("missing", PAGE_NAME));
}

#[test]
fn sync_wants_every_stream_served() {
    let rules = planted(|state| set(smmu_of(state).streams.make_mut(), Span::new(8, 1), None));
    assert_eq!(rules, one("stream-unserved", "0x8"));
}

#[test]
fn ownership_wants_the_parties_to_agree() {
    use Ownership::*;
    let state = |host, hyp, refcount| PageState { host, hyp, refcount, share_count: 0 };
    let plant = |page| {
        let rules = planted(|state| set(pages_mut(state), PAGE, Some(page)));
        rules.into_iter().map(|(rule, _)| rule).collect::<Vec<_>>()
    };
    assert_eq!(plant(state(Owned, Owned, 0)), ["parties", "el2-missing"]);
    assert_eq!(plant(state(SharedOwned, NoPage, 0)), ["parties"]);
    assert_eq!(plant(state(Owned, SharedBorrowed, 0)), ["parties"]);
    assert_eq!(plant(state(SharedBorrowed, NoPage, 0)), Vec::<&str>::new(), "lent by a guest");
    assert_eq!(plant(state(Owned, NoPage, 1)), ["reference"]);
    assert_eq!(plant(PageState { share_count: 1, ..state(SharedOwned, NoPage, 0) }), Vec::<&str>::new());
    assert_eq!(plant(PageState { share_count: 1, ..state(Owned, NoPage, 0) }), ["parties"]);
}

#[test]
fn ownership_holds_states_against_annotations() {
    let stale = planted(|state| set(pages_mut(state), PAGE, Some(HYP_PAGE)));
    assert_eq!(stale, [("annotation", PAGE_NAME), ("el2-missing", PAGE_NAME)].map(named));
    let mut state = donated();
    set(pages_mut(&mut state), PAGE, Some(PageState::HOST_OWNED));
    assert_eq!(
        found(&state),
        [("annotation", PAGE_NAME.into()), ("el2-mapped", "linear:ram+0x800000..+0x801000".into())]
    );
    let mut state = donated();
    set(host_mut(&mut state), PAGE, Some(S2Entry::Annotated { raw: 0x2000_0000_0000_0004 }));
    assert_eq!(found(&state), one("owner", PAGE_NAME));
    set(host_mut(&mut state), PAGE, Some(S2Entry::Annotated { raw: 0x1000_0000_0000_0000 }));
    assert_eq!(found(&state), one("owner", PAGE_NAME));
}

#[test]
fn ownership_wants_el2_to_map_only_its_own() {
    let va = Span::new(PAGE.base + LINEAR, PAGE.size);
    let entry = el2(LINEAR.wrapping_neg(), true, false);
    assert_eq!(
        planted(|state| set(el2_mut(state), va, Some(entry))),
        one("el2-mapped", "linear:ram+0x800000..+0x801000")
    );
    let unpinned = planted(|state| {
        set(el2_mut(state), va, Some(entry));
        set(pages_mut(state), PAGE, Some(SHARED_PAGE));
    });
    assert_eq!(unpinned, one("el2-unpinned", "linear:ram+0x800000..+0x801000"));
}

#[test]
fn ownership_wants_el2_to_map_what_it_has() {
    let pinned = PageState { refcount: 1, ..SHARED_PAGE };
    let missing = planted(|state| set(pages_mut(state), PAGE, Some(pinned)));
    assert_eq!(missing, one("el2-missing", PAGE_NAME));
    assert_eq!(planted(|state| set(pages_mut(state), PAGE, Some(SHARED_PAGE))), [], "lent and not used");
    let mut state = donated();
    set(el2_mut(&mut state), Span::new(PAGE.base + LINEAR, PAGE.size), None);
    assert_eq!(found(&state), one("el2-missing", PAGE_NAME));
    let pool = planted(|state| set(el2_mut(state), Span::new(POOL.base + LINEAR, 0x1000), None));
    assert_eq!(pool, one("el2-missing", "pool+0x0..+0x1000"));
}

#[test]
fn ownership_wants_the_registers_that_el2_uses_kept_from_the_host() {
    let S1Entry::Mapped(leaf) = el2(LINEAR.wrapping_neg(), true, false) else { unreachable!() };
    let device = Some(S1Entry::Mapped(crate::leaf::S1Leaf { mair: 0x04, ..leaf }));
    let mapped =
        |span: Span| planted(|state| set(el2_mut(state), Span::new(span.base + LINEAR, span.size), device));
    assert_eq!(mapped(SMMU), [], "the hypervisor's");
    assert_eq!(mapped(UART), [], "which both use");
    let other = Span::new(0xa00_0000, 0x1000);
    assert_eq!(mapped(other), one("el2-device", "linear:0xa000000..0xa001000"));
}

#[test]
fn sanity_wants_memory_shareable_for_devices_too() {
    let set_sh = |leaf: S2Leaf| planted(|state| set(smmu_entries(state), PAGE, Some(S2Entry::Mapped(leaf))));
    assert_eq!(set_sh(S2Leaf { sh: 0, ..MEMORY }), one("shareability", PAGE_NAME));
    assert_eq!(set_sh(DEVICE), one("memory-type", PAGE_NAME), "which is outer shareable anyway");
}

#[test]
fn sanity_wants_memory_and_mmio_mapped_as_such() {
    let memory = |leaf: S2Leaf| planted(|state| set(host_mut(state), PAGE, Some(S2Entry::Mapped(leaf))));
    assert_eq!(memory(S2Leaf { xn: 0b10, ..MEMORY }), one("execute", PAGE_NAME));
    assert_eq!(memory(S2Leaf { memattr: 0b0001, ..MEMORY }), one("memory-type", PAGE_NAME));
    assert_eq!(memory(S2Leaf { sh: 0, ..MEMORY }), one("shareability", PAGE_NAME));
    assert_eq!(memory(S2Leaf { af: false, ..MEMORY }), one("access-flag", PAGE_NAME));
    assert_eq!(memory(S2Leaf { other: 0x1000, ..MEMORY }), one("malformed", PAGE_NAME));
    assert_eq!(memory(S2Leaf { fwb: true, memattr: 0b0111, ..MEMORY }), [], "as stage 1, FWB's way");
    let moved = memory(S2Leaf { offset: 0x1000, ..MEMORY });
    assert_eq!(moved, [("address", PAGE_NAME.into()), ("identity", PAGE_NAME.into())]);
    let mmio = planted(|state| set(host_mut(state), UART, Some(S2Entry::Mapped(MEMORY))));
    assert_eq!(mmio, one("execute", "mmio:uart"));
    let raw = planted(|state| set(host_mut(state), PAGE, Some(S2Entry::Malformed { raw: 1 })));
    assert_eq!(raw, one("malformed", PAGE_NAME));
    // A page that the SMMU does not map any more, and that somebody wrote a number for.
    let left = |state: &mut Snapshot| {
        *state = donated();
        set(smmu_entries(state), PAGE, Some(S2Entry::Annotated { raw: 0x405_ae00 }));
    };
    assert_eq!(planted(left), one("malformed", PAGE_NAME));
    assert_eq!(planted(|state| state.faults.push("gone".into())), one("unreadable", ""));
}

#[test]
fn a_finding_shows_every_side() {
    let mut state = donated();
    set(smmu_entries(&mut state), PAGE, Some(S2Entry::Mapped(MEMORY)));
    let texts: Vec<_> = check(&state, &context()).iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        ["sync/extra smmu ram+0x800000..+0x801000: devices reach what the host's table gives to another \
          [cpu: annotated hyp; smmu: RW normal 4K; page: host=NOPAGE hyp=OWNED]"]
    );
}

#[test]
fn without_an_smmu_only_the_cpu_is_judged() {
    let off = Context { smmu: SmmuMode::Off, ..context() };
    let mut state = clean();
    state.smmu = None;
    assert_eq!(found_in(&state, &off), []);
    set(host_mut(&mut state), PAGE, Some(HYP));
    assert_eq!(found_in(&state, &off), one("annotation", PAGE_NAME));
}

#[test]
fn what_the_device_tree_gives_a_purpose_is_not_the_hypervisors() {
    let at = |base, no_map| Context {
        loaded: vec![Loaded { span: Span::new(PhysAddr::new(base), 0x1000), no_map }],
        ..context()
    };
    for no_map in [false, true] {
        assert_eq!(found_in(&clean(), &at(PAGE.base, no_map)), [], "the host's page");
    }
    assert_eq!(found_in(&clean(), &at(POOL.base, false)), one("loaded", "pool+0x0..+0x1000"));
    assert_eq!(found_in(&donated(), &at(PAGE.base, false)), [], "the host may give a log away");
    assert_eq!(found_in(&donated(), &at(PAGE.base, true)), one("loaded", PAGE_NAME));
}

#[test]
fn an_smmu_that_fails_may_be_closed_and_no_other() {
    let mut state = clean();
    let smmu = smmu_of(&mut state);
    (smmu.control.enabled, smmu.control.gbpa_abort) = (false, true);
    (smmu.streams, smmu.tables) = (crate::Runs::default(), Vec::new());
    let fails = Context { smmu_fails: true, ..context() };
    let rules = |state: &Snapshot, context: &Context| -> Vec<_> {
        found_in(state, context).into_iter().map(|(rule, _)| rule).collect()
    };
    assert_eq!(rules(&state, &context()), ["stream-unserved"]);
    assert_eq!(rules(&state, &fails), [] as [&str; 0]);
    smmu_of(&mut state).control.gbpa_abort = false;
    assert!(rules(&state, &fails).contains(&"open"));
}
