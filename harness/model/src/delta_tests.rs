//! What a difference shows, and that it leads from one state to the other.

use parallax_addr::PhysAddr;
use proptest::prelude::*;

use super::*;
use crate::leaf::S2Leaf;
use crate::snapshot::Cpu;
use crate::testing::*;

fn lines(before: &Snapshot, after: &Snapshot, block_size: BlockSize) -> Vec<String> {
    let delta = Delta::between_as(before, after, block_size);
    delta.lines(&context().symbols, View::All).iter().map(ToString::to_string).collect()
}

#[test]
fn a_donation_reads_as_in_the_design() {
    assert_eq!(
        lines(&clean(), &donated(), BlockSize::Shown),
        [
            "cpu  ram+0x800000..+0x801000   - RWX normal 4K",
            "cpu  ram+0x800000..+0x801000   + annotated hyp",
            "smmu ram+0x800000..+0x801000   - RW normal 4K",
            "el2  linear:ram+0x800000..+0x801000   + RW- normal 4K",
            "page ram+0x800000..+0x801000   - host=OWNED hyp=NOPAGE",
            "page ram+0x800000..+0x801000   + host=NOPAGE hyp=OWNED",
        ]
    );
}

#[test]
fn a_split_block_is_one_line_gone_and_a_few_come() {
    let block = Span::new(0x4080_0000, 0x20_0000);
    let (mut before, mut after) = (clean(), clean());
    set(host_mut(&mut before), block, Some(S2Entry::Mapped(S2Leaf { block: 21, ..MEMORY })));
    set(host_mut(&mut after), Span::new(0x4090_0000, 0x1000), Some(HYP));
    assert_eq!(
        lines(&before, &after, BlockSize::Shown),
        [
            "cpu  ram+0x800000..+0xa00000   - RWX normal 2M",
            "cpu  ram+0x800000..+0x900000   + RWX normal 4K",
            "cpu  ram+0x900000..+0x901000   + annotated hyp",
            "cpu  ram+0x901000..+0xa00000   + RWX normal 4K",
        ]
    );
    assert_eq!(
        lines(&before, &after, BlockSize::Ignored),
        ["cpu  ram+0x900000..+0x901000   - RWX normal", "cpu  ram+0x900000..+0x901000   + annotated hyp",]
    );
}

#[test]
fn what_is_odd_is_shown() {
    let (before, mut after) = (clean(), clean());
    let odd = S2Leaf { offset: 0x2000, af: false, sh: 0, sw: 1, memattr: 0b0001, xn: 0b10, ..MEMORY };
    set(host_mut(&mut after), PAGE, Some(S2Entry::Mapped(odd)));
    set(smmu_entries(&mut after), PAGE, Some(S2Entry::Mapped(odd)));
    smmu_of(&mut after).control.gbpa_abort = false;
    assert_eq!(
        lines(&before, &after, BlockSize::Shown),
        [
            "cpu  ram+0x800000..+0x801000   - RWX normal 4K",
            "cpu  ram+0x800000..+0x801000   + RW- Device-nGnRE nsh af=0 sw=0x1 4K -> ram+0x802000",
            "smmu ram+0x800000..+0x801000   - RW normal 4K",
            "smmu ram+0x800000..+0x801000   + RW xn Device-nGnRE nsh af=0 sw=0x1 4K -> ram+0x802000",
            "regs   - SMMU_GBPA: ABORT=1",
            "regs   + SMMU_GBPA: ABORT=0",
        ]
    );
}

#[test]
fn where_tables_and_queues_lie_does_not_show() {
    let mut moved = clean();
    let further = |address: &mut PhysAddr| *address = address.wrapping_add(0x3000);
    further(&mut moved.cpus[0].control.root);
    further(&mut smmu_of(&mut moved).tables[0].root);
    further(&mut smmu_of(&mut moved).control.cmdq.base);
    moved.tables = Runs::default();
    set(pages_mut(&mut moved), Span::new(POOL.base, 0x1000), Some(PageState { refcount: 3, ..HYP_PAGE }));
    assert!(Delta::between(&clean(), &moved).is_empty());
    assert!(!Delta::between(&clean(), &donated()).is_empty());
}

#[test]
fn the_full_state_shows_every_lane() {
    let text: Vec<_> = state_lines(&clean(), &context().symbols, View::All, BlockSize::Shown)
        .iter()
        .map(ToString::to_string)
        .collect();
    for line in [
        "cpu  mmio:uart  RW- normal 4K",
        "cpu  hyp  annotated hyp",
        "smmu ram+0x0..+0x200000  RW normal 4K",
        "ste  0x0..0x100  stage-2 table=0 SHCFG=0x1 S2T0SZ=0x18 S2SL0=0x1 S2IR0=0x1 S2OR0=0x1 S2SH0=0x3 \
         S2PS=0x2 S2AA64=0x1 S2PTW=0x1 S2R=0x1",
        "regs  SMMU_CR0: SMMUEN=1 CMDQEN=1 EVENTQEN=1",
        "el2  linear:pool  RW- normal 4K",
        "el2  hyp  R-X normal 4K",
        "page pool  host=NOPAGE hyp=OWNED",
    ] {
        assert!(text.iter().any(|found| found == line), "{line} is not in\n{}", text.join("\n"));
    }
    let only = state_lines(&clean(), &context().symbols, View::El2, BlockSize::Shown);
    assert!(!only.is_empty() && only.iter().all(|line| line.lane == Lane::El2));
}

#[test]
fn a_cpu_that_is_not_as_the_first_shows() {
    let (mut before, mut after) = (clean(), clean());
    for (state, vttbr) in [(&mut before, 0), (&mut after, 7 << 48)] {
        let mut other = Cpu { number: 1, ..state.cpus[0] };
        other.registers.vttbr_el2 ^= vttbr;
        other.registers.hcr_el2 |= 1 << 7;
        state.cpus.push(other);
    }
    assert_eq!(lines(&clean(), &before, BlockSize::Shown), [""; 0], "a pending interrupt is no difference");
    let shown = ["regs   + CPU 1: VTTBR_EL2 differs from that of CPU 0 in 0x7000000000000"];
    assert_eq!(lines(&before, &after, BlockSize::Shown), shown);
    let symbols = context().symbols;
    let form = Canonical::of(&before, BlockSize::Shown);
    let delta = Delta::of(&form, &form.after(&before, &after, BlockSize::Shown));
    assert_eq!(delta.lines(&symbols, View::All).iter().map(ToString::to_string).collect::<Vec<_>>(), shown);
    for state in [&mut before, &mut after] {
        state.cpus[1].registers.control = None;
    }
    assert_eq!(lines(&before, &after, BlockSize::Shown), shown);
}

fn entries() -> impl Strategy<Value = Vec<Run<Ipa, S2Entry>>> {
    let value = prop_oneof![
        Just(None),
        Just(Some(HYP)),
        Just(Some(S2Entry::Mapped(MEMORY))),
        Just(Some(S2Entry::Mapped(S2Leaf { write: false, ..MEMORY }))),
    ];
    prop::collection::vec(value, 0..24).prop_map(|pages| {
        let mut runs = Vec::new();
        for (page, value) in (0_u64..).zip(pages) {
            let span = Span::new(Ipa::new(RAM.base + page * 0x1000), 0x1000);
            if let Some(value) = value {
                run::push(&mut runs, Run::new(span, value));
            }
        }
        runs
    })
}

proptest! {
    #[test]
    fn equal_states_differ_in_nothing_and_different_ones_in_something(a in entries(), b in entries()) {
        let (mut before, mut after) = (clean(), clean());
        *host_mut(&mut before) = a.clone();
        *host_mut(&mut after) = b.clone();
        prop_assert!(Delta::between(&before, &before).is_empty());
        let delta = Delta::between(&before, &after);
        prop_assert_eq!(delta.is_empty(), a == b);
        prop_assert_eq!(&delta.cpu.removed, &Delta::between(&after, &before).cpu.added);
        for runs in [&delta.cpu.removed, &delta.cpu.added] {
            for pair in runs.windows(2) {
                prop_assert!(pair[0].end() < pair[1].base || pair[0].value != pair[1].value);
            }
        }
        let symbols = context().symbols;
        let again = Delta::between(&before, &after);
        prop_assert_eq!(delta.lines(&symbols, View::All), again.lines(&symbols, View::All));
    }

    #[test]
    fn a_delta_leads_from_one_state_to_the_other(a in entries(), b in entries()) {
        let changes = Changes::between(&a.clone().into(), &b.clone().into());
        let mut state = a;
        for removed in &changes.removed {
            set(&mut state, removed.span().cast(), None);
        }
        for added in &changes.added {
            set(&mut state, added.span().cast(), Some(added.value));
        }
        prop_assert_eq!(state, b);
    }
}
