//! Ownership operations against a naive model: after each of them the host's table, the SMMU's, EL2's and the page
//! states must agree with it, and no TLB may remember what is gone.

mod support;

use hyp_core::addr::{Ipa, PhysAddr};
use hyp_core::error::Error;
use hyp_core::hypercall::{UNKNOWN, dispatch};
use hyp_core::regions::Range;
use parallax_abi::operation::{HYPERCALLS, Hypercall};
use parallax_abi::{errno, hypercall};
use proptest::prelude::*;
use support::{DONATED_MMIO, FRAME, IMAGE, Machine, NOMAP, Op, RAM, RAM_SIZE, Setup};

const PFN: u64 = RAM >> 12;
const END: u64 = (RAM + RAM_SIZE) >> 12;
const SETUPS: [Setup; 10] = [
    Setup { options: "", parange: 2, bbm: true, bbml2: true, smmu_bits: 44 },
    Setup { options: "", parange: 5, bbm: true, bbml2: true, smmu_bits: 44 },
    Setup { options: "smmu.map=pages", parange: 2, bbm: false, bbml2: true, smmu_bits: 44 },
    Setup { options: "smmu.mmio=cacheable", parange: 4, bbm: false, bbml2: false, smmu_bits: 44 },
    Setup { options: "smmu=shared", parange: 5, bbm: true, bbml2: true, smmu_bits: 44 },
    Setup { options: "smmu=shared", parange: 2, bbm: false, bbml2: true, smmu_bits: 44 },
    Setup { options: "smmu=off", parange: 2, bbm: false, bbml2: false, smmu_bits: 44 },
    Setup { options: "", parange: 2, bbm: true, bbml2: true, smmu_bits: 32 },
    Setup { options: "smmu.map=pages", parange: 2, bbm: true, bbml2: false, smmu_bits: 32 },
    Setup { options: "", parange: 5, bbm: true, bbml2: true, smmu_bits: 36 },
];

const SHADOW: Setup = SETUPS[0];

/// Frames near every border that there is.
fn near_borders() -> impl Iterator<Item = u64> {
    let borders = [0, 0x200, 0x210, 0x400, 0x800, 0xc00, 0xc10, 0xe00, 0x1000];
    borders.into_iter().flat_map(|border| PFN + border - 3..PFN + border + 5)
}

fn pfn() -> impl Strategy<Value = u64> {
    let borders: Vec<_> = near_borders().collect();
    prop_oneof![8 => prop::sample::select(borders), 1 => PFN..END, 1 => any::<u64>()]
}

fn nr() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 1..6_u64, 2 => Just(512), 1 => Just(0), 1 => any::<u64>()]
}

fn op() -> impl Strategy<Value = Op> {
    let inside = || prop::sample::select(near_borders().collect::<Vec<_>>());
    let mmio = prop::sample::select(vec![DONATED_MMIO >> 12, FRAME.base.0 >> 12, 0x9000, PFN]);
    prop_oneof![
        1 => pfn().prop_map(Op::Share),
        1 => pfn().prop_map(Op::Unshare),
        1 => (pfn(), nr()).prop_map(|(pfn, nr)| Op::Pin(pfn, nr)),
        1 => (pfn(), nr()).prop_map(|(pfn, nr)| Op::Unpin(pfn, nr)),
        3 => (pfn(), nr()).prop_map(|(pfn, nr)| Op::Donate(pfn, nr)),
        3 => (pfn(), nr()).prop_map(|(pfn, nr)| Op::Return(pfn, nr)),
        1 => mmio.prop_map(Op::ReturnMmio),
        2 => inside().prop_map(Op::Touch),
        2 => inside().prop_map(Op::Dma),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tables_states_and_tlbs_agree_after_every_operation(
        setup in 0..SETUPS.len(),
        ops in prop::collection::vec(op(), 1..60),
    ) {
        let setup = SETUPS[setup];
        let options = format!("{} donate_mmio={DONATED_MMIO:#x}", setup.options);
        let options = hyp_core::options::Options::parse(&options).unwrap();
        let mut machine = Machine::with_options(setup, options);
        machine.verify(PFN..END);
        for op in ops {
            machine.perform(op);
            machine.verify(near_borders());
        }
        machine.verify(PFN..END);
    }
}

#[test]
fn a_device_keeps_its_neighbours_at_every_single_store() {
    for setup in SETUPS {
        let mut machine = Machine::new(setup);
        let Some(root) = machine.smmu_root.filter(|root| RAM + RAM_SIZE < 1 << root.2) else { continue };
        machine.perform(Op::Dma(PFN + 0xe01));
        machine.hw.watch(root, RAM + 0xe0_1000);
        machine.perform(Op::Donate(PFN + 0xe00, 1));
        machine.perform(Op::Donate(PFN + 0xe02, 14));
        machine.perform(Op::Return(PFN + 0xe00, 1));
        machine.verify(PFN + 0xe00..END);
    }
}

#[test]
fn a_block_of_the_host_is_split_by_break_before_make() {
    use support::Step::*;
    let mut machine = Machine::new(SHADOW);
    machine.perform(Op::Touch(PFN + 0xe80));
    assert_eq!(machine.host(RAM + 0xe8_0000).1, 0x20_0000);
    let steps = machine.perform(Op::Donate(PFN + 0xe80, 1));
    let locked = steps.iter().position(|step| matches!(step, Write(_, 0x1000_0000_0000_0000))).unwrap();
    let Write(slot, _) = steps[locked] else { unreachable!() };
    let tlbi = [DsbIshst, TlbiIpas2e1is(RAM + 0xe0_0000), DsbIsh, TlbiVmalle1is, DsbIsh, Isb];
    assert_eq!(steps[locked + 1..locked + 7], tlbi);
    assert!(
        matches!(steps[locked + 7], Write(at, table) if at == slot && table & 3 == 3),
        "{:x?}",
        steps[locked + 7]
    );
    let Write(_, annotation) = steps[locked + 8] else { panic!("{:x?}", steps[locked + 8]) };
    assert_eq!(annotation, 0x2000_0000_0000_0002);
    assert_eq!(steps[locked + 10], TlbiIpas2e1is(RAM + 0xe8_0000));
}

#[test]
fn faults_map_the_largest_block_inside_a_region() {
    let machine = Machine::new(Setup { options: "smmu=off", ..SHADOW });
    let size = |ia: u64| {
        assert!(machine.hyp.host_abort(Ipa(ia + 4)));
        machine.host(ia).1
    };
    assert_eq!(size(RAM), 0x20_0000);
    assert_eq!(size(IMAGE.base.0 - 0x1000), 0x20_0000);
    assert_eq!(size(IMAGE.end()), 0x1000);
    assert_eq!(size(NOMAP.end()), 0x1000);
    assert_eq!(size(0x900_0000), 0x4000_0000);
    assert_eq!(size(0x10_0000_0000), 0x4000_0000);
    assert_eq!(size(RAM + RAM_SIZE), 0x20_0000);
}

#[test]
fn what_the_host_may_not_do_is_injected() {
    let machine = Machine::new(SHADOW);
    let abort = |ia| machine.hyp.host_abort(Ipa(ia));
    assert!(abort(NOMAP.base.0));
    for ia in [IMAGE.base.0, FRAME.base.0, 1 << 40, u64::MAX] {
        assert!(!abort(ia), "{ia:#x}");
    }
    assert_eq!([abort(0x900_0000), abort(0x900_0000)], [true; 2]);
}

#[test]
fn mmio_mappings_are_given_up_when_table_pages_run_out() {
    let options = "host_s2_pages=12 donate_mmio=0x9010000";
    let mut machine = Machine::new(Setup { options, parange: 5, ..SHADOW });
    machine.perform(Op::Touch(0x9000));
    let mut recycled = 0;
    for far in 1..30_u64 {
        machine.perform(Op::Touch(far << 27));
        recycled += u32::from(machine.host(0x900_0000).0 == 0);
        machine.verify(near_borders());
    }
    assert!((1..29).contains(&recycled), "recycled at {recycled} of 29 accesses");
    machine.perform(Op::Touch(DONATED_MMIO >> 12));
    machine.perform(Op::Touch(0x9000));
}

#[test]
fn without_table_pages_nothing_changes() {
    // Each block takes a table, the first one above 4 GiB another.
    for (pages, expected) in [(4, 3), (5, 2), (6, 2), (7, 1), (8, 0), (9, 0)] {
        let options = hyp_core::options::Options::parse(&format!("smmu=off host_s2_pages={pages}")).unwrap();
        let mut machine = Machine::with_options(Setup { parange: 5, ..SHADOW }, options);
        let mut refused = 0;
        for block in [0, 0xa, 0xe] {
            let pfn = PFN + block * 0x100 + 0x1f;
            if machine.hyp.host_donate_hyp(pfn, 2) == Err(Error::NoMem) {
                refused += 1;
            } else {
                machine.model.perform(Op::Donate(pfn, 2), None).unwrap();
            }
            machine.verify(PFN..END);
        }
        assert_eq!(refused, expected, "with {pages} pages");
    }
}

#[test]
fn hypercalls_answer_in_the_registers() {
    let machine = Machine::new(SHADOW);
    let answer = |machine: &Machine, id, args| {
        Hypercall::decode(id, args).map_or(UNKNOWN, |call| dispatch(&machine.hyp, call))
    };
    let call = |id, pfn, nr| answer(&machine, id, [pfn, nr, 0, 0, 0, 0]);
    assert_eq!(call(hypercall::HOST_SHARE_HYP, PFN, 0), [0; 4]);
    assert_eq!(call(hypercall::HOST_SHARE_HYP, PFN, 0), [0, errno::EPERM as u64, 0, 0]);
    assert_eq!(call(hypercall::HYP_PIN_SHARED_MEM, PFN, 1), [0; 4]);
    assert_eq!(call(hypercall::HOST_UNSHARE_HYP, PFN, 0), [0, errno::EBUSY as u64, 0, 0]);
    assert_eq!(call(hypercall::HOST_DONATE_HYP_MMIO, 0x9010, 1), [0, errno::EPERM as u64, 0, 0]);
    assert_eq!(call(hypercall::HOST_DONATE_HYP_MMIO, PFN, 1), [0, errno::EINVAL as u64, 0, 0]);
    assert_eq!(call(hypercall::SMMU_READ_EVENT, 0, 0), [0, errno::ENOENT as u64, 0, 0]);
    machine.smmu.events.borrow_mut().push([8 << 32 | 0x10, 0, RAM, 0]);
    assert_eq!(call(hypercall::SMMU_READ_EVENT, 0, 0), [0, 0, 8 << 32 | 0x10, RAM]);
    let beside = [hypercall::HOST_SHARE_HYP | 1 << 32, hypercall::HOST_SHARE_HYP & 0xffff];
    for id in [0, hypercall::BASE, hypercall::FIRST_OWN - 1, u64::MAX].into_iter().chain(beside) {
        assert_eq!(call(id, 0, 0), [errno::SMCCC_NOT_SUPPORTED as u64, 0, 0, 0]);
    }
    let off = Machine::new(SETUPS[6]);
    assert_eq!(answer(&off, hypercall::SMMU_READ_EVENT, [0; 6]), [0, errno::ENODEV as u64, 0, 0]);
}

#[test]
fn each_call_has_a_number_of_its_own() {
    let numbers: Vec<String> = HYPERCALLS.iter().map(|row| format!("{:?}", row.form)).collect();
    for (index, number) in numbers.iter().enumerate() {
        assert!(
            !numbers[..index].contains(number),
            "{}: another call has this number",
            HYPERCALLS[index].name
        );
    }
}

#[test]
fn a_page_can_be_pinned_65535_times() {
    let machine = Machine::new(SHADOW);
    machine.hyp.host_share_hyp(PFN).unwrap();
    assert!((0..65535).all(|_| machine.hyp.hyp_pin_shared_mem(PFN, 1).is_ok()));
    assert_eq!(machine.hyp.hyp_pin_shared_mem(PFN, 1), Err(Error::Busy));
}

#[test]
fn what_is_held_stays_held_when_an_older_range_is_released() {
    use hyp_core::its::Env;
    let machine = Machine::new(SHADOW);
    let mut env = &machine.hyp;
    let range = |page: u64| Range { base: PhysAddr(RAM + page * 0x1000), size: 0x1000 };
    (0..4).for_each(|page| env.hold(range(page)).unwrap());
    for released in [0, 2, 1, 3] {
        env.release(range(released));
        machine.hyp.host_share_hyp(PFN + released).unwrap();
        machine.hyp.hyp_pin_shared_mem(PFN + released, 1).unwrap();
        for page in (0..4).filter(|page| machine.hyp.host_share_hyp(PFN + page).is_err()) {
            let pinned = machine.hyp.hyp_unpin_shared_mem(PFN + page, 1);
            assert_eq!(pinned.is_ok(), page == released, "{page} after {released}");
        }
        machine.hyp.host_unshare_hyp(PFN + released).unwrap();
        machine.hyp.host_donate_hyp(PFN + released, 1).unwrap();
    }
}
