//! Walks over hand-made tables: what is visited, in which order, and what is found wrong.

use parallax_addr::{InputAddr, PhysAddr};
use parallax_vmsa::mem::SparseMem;
use parallax_vmsa::regime::{Regime, Stage2Fields};
use parallax_vmsa::walk::{Malformed, Run, TableCache, Visit, walk};
use parallax_vmsa::{AnnotationType, FaultKind, Form, Level, MemError, SysRegs, translate};

const ROOT: u64 = 0x1_0000;
const L2: u64 = 0x3_0000;
const L3: u64 = 0x4_0000;
const HYP: u64 = 0x2000_0000_0000_0002;
/// Normal write-back, RW, inner shareable, AF.
const PAGE: u64 = 0x7ff;
const BLOCK: u64 = 0x7fd;

/// Stage 2 with `ia_bits` of input, 40 bits of output, starting at level 1.
fn regime(ia_bits: u8) -> Regime {
    let fields = Stage2Fields {
        root: PhysAddr::new(ROOT),
        t0sz: 64 - ia_bits,
        sl0: 1,
        tg0: 0,
        ps: 0b010,
        oa_limit: 48,
        lpa2: None,
        ha: false,
        fwb: false,
        vmid: 0,
    };
    fields.regime().expect("a legal combination")
}

/// An empty root of `tables` pages.
fn memory(tables: u64) -> SparseMem {
    let mut mem = SparseMem::new();
    for table in 0..tables {
        mem.write_table(PhysAddr::new(ROOT + 4096 * table), &[0; 512]);
    }
    mem
}

fn visits(mem: &SparseMem, regime: &Regime) -> Vec<Visit> {
    let mut visits = Vec::new();
    walk(mem, regime, |visit| visits.push(visit));
    visits
}

fn leaves(visits: &[Visit]) -> Vec<(u64, u64, u64)> {
    let leaf = |visit: &Visit| match visit {
        Visit::Leaf(run) => Some((run.ia.get(), run.size(), run.oa().get())),
        _ => None,
    };
    visits.iter().filter_map(leaf).collect()
}

fn malformed(visits: &[Visit]) -> Vec<(u64, Malformed)> {
    let wrong = |visit: &Visit| match visit {
        Visit::Malformed(run, why) => Some((run.ia.get(), *why)),
        _ => None,
    };
    visits.iter().filter_map(wrong).collect()
}

fn level(number: u8) -> Level {
    Level::new(number).expect("0 to 3")
}

#[test]
fn blocks_pages_and_annotations_come_in_order_of_input_addresses() {
    let mut mem = memory(1);
    mem.write_u64(PhysAddr::new(ROOT), L2 | 3);
    mem.write_u64(PhysAddr::new(ROOT + 8), 0x4000_0000 | BLOCK);
    mem.write_u64(PhysAddr::new(L2), 0x20_0000 | BLOCK);
    mem.write_u64(PhysAddr::new(L2 + 8), L3 | 3);
    mem.write_table(PhysAddr::new(L3), &[0x5000 | PAGE, 0x6000 | PAGE, HYP, HYP, 0, 0x8000 | PAGE]);
    let visits = visits(&mem, &regime(39));
    let run = |ia, level, count, desc, table, index| Run {
        ia: InputAddr::new(ia),
        level,
        count,
        desc,
        table: PhysAddr::new(table),
        index,
        tables: Default::default(),
        form: Form::of(40),
    };
    let table = |pa, level, ia| {
        let (pa, ia) = (PhysAddr::new(pa), InputAddr::new(ia));
        Visit::Table { pa, level, ia, entries: 512, changed: true }
    };
    let expected = [
        table(ROOT, level(1), 0),
        table(L2, level(2), 0),
        Visit::Leaf(run(0, level(2), 1, 0x20_0000 | BLOCK, L2, 0)),
        table(L3, level(3), 0x20_0000),
        Visit::Leaf(run(0x20_0000, level(3), 2, 0x5000 | PAGE, L3, 0)),
        Visit::Invalid(run(0x20_2000, level(3), 2, HYP, L3, 2)),
        Visit::Leaf(run(0x20_5000, level(3), 1, 0x8000 | PAGE, L3, 5)),
        Visit::Leaf(run(0x4000_0000, level(1), 1, 0x4000_0000 | BLOCK, ROOT, 1)),
    ];
    assert_eq!(visits, expected);
    let Visit::Invalid(annotated) = visits[5] else { panic!("the annotation is the sixth") };
    assert_eq!(annotated.annotation().expect("annotated").ty, AnnotationType::Donation);
    assert_eq!((annotated.end().get(), annotated.entry_pa().get()), (0x20_4000, L3 + 16));
}

#[test]
fn concatenated_roots_are_walked_to_the_end() {
    for (ia_bits, tables) in [(40, 2), (41, 4), (42, 8), (43, 16)] {
        let mut mem = memory(tables);
        let last = (1_u64 << ia_bits) - (1 << 30);
        mem.write_u64(PhysAddr::new(ROOT + 4096 * tables - 8), BLOCK | 0x8000_0000);
        let regime = regime(ia_bits);
        let visits = visits(&mem, &regime);
        assert_eq!(leaves(&visits), [(last, 1 << 30, 0x8000_0000)], "{ia_bits} bits");
        let roots = visits.iter().filter(|visit| matches!(visit, Visit::Table { .. })).count();
        assert_eq!(roots as u64, tables);
        let found = translate(&mem, &regime, InputAddr::new(last + 0x1234)).expect("mapped");
        assert_eq!(found.oa, PhysAddr::new(0x8000_1234));
        let beyond =
            translate(&mem, &regime, InputAddr::new(1 << ia_bits)).expect_err("beyond the input size");
        assert_eq!(beyond.kind, FaultKind::InputSize);
    }
}

#[test]
fn a_root_with_fewer_than_512_entries_ends_where_they_end() {
    let mut mem = memory(1);
    mem.write_table(PhysAddr::new(ROOT), &[0, BLOCK, 0x4000_0000 | BLOCK]);
    assert_eq!(leaves(&visits(&mem, &regime(31))), [(0x4000_0000, 1 << 30, 0)]);
}

#[test]
fn a_reserved_encoding_and_an_address_beyond_the_output_size_are_findings() {
    let mut mem = memory(1);
    mem.write_table(PhysAddr::new(ROOT), &[L2 | 3, 1 << 40 | BLOCK, 1 << 41 | 3]);
    mem.write_u64(PhysAddr::new(L2), L3 | 3);
    mem.write_u64(PhysAddr::new(L3 + 8), 0x9001);
    let visits = visits(&mem, &regime(39));
    let expected = [
        (0x1000, Malformed::Reserved),
        (1 << 30, Malformed::AddressSize { oa_bits: 40 }),
        (2 << 30, Malformed::AddressSize { oa_bits: 40 }),
    ];
    assert_eq!(malformed(&visits), expected);
    assert_eq!(leaves(&visits), []);
    let kind = |ia| translate(&mem, &regime(39), InputAddr::new(ia)).expect_err("faults").kind;
    assert_eq!(
        [0, 0x1000, 1 << 30].map(kind),
        [FaultKind::Invalid, FaultKind::Reserved, FaultKind::AddressSize]
    );
}

#[test]
fn a_block_that_is_not_aligned_is_a_finding_and_still_maps() {
    let mut mem = memory(1);
    mem.write_u64(PhysAddr::new(ROOT), L2 | 3);
    mem.write_u64(PhysAddr::new(L2), 0x4020_1000 | BLOCK);
    let visits = visits(&mem, &regime(39));
    assert_eq!(malformed(&visits), [(0, Malformed::Res0 { bits: 0x1000 })]);
    assert_eq!(leaves(&visits), [(0, 2 << 20, 0x4020_0000)]);
}

#[test]
fn a_table_that_leads_to_itself_or_is_used_twice_is_followed_once() {
    let mut mem = memory(1);
    mem.write_table(PhysAddr::new(ROOT), &[L2 | 3, L2 | 3]);
    mem.write_table(PhysAddr::new(L2), &[L2 | 3, ROOT | 3, L3 | 3, L3 | 3]);
    mem.write_u64(PhysAddr::new(L3), 0x5000 | PAGE);
    let visits = visits(&mem, &regime(39));
    let expected = [
        (0, Malformed::Cycle(PhysAddr::new(L2))),
        (0x20_0000, Malformed::Cycle(PhysAddr::new(ROOT))),
        (0x60_0000, Malformed::Reused(PhysAddr::new(L3))),
        (0x4000_0000, Malformed::Reused(PhysAddr::new(L2))),
    ];
    assert_eq!(malformed(&visits), expected);
    assert_eq!(leaves(&visits), [(0x40_0000, 4096, 0x5000)]);
}

#[test]
fn memory_that_cannot_be_read_is_a_finding() {
    let mut mem = memory(1);
    mem.write_u64(PhysAddr::new(ROOT + 8), 0x9000_0000 | 3);
    let missing = Malformed::Unreadable(MemError { pa: PhysAddr::new(0x9000_0000), len: 4096 });
    assert_eq!(malformed(&visits(&mem, &regime(39))), [(1 << 30, missing)]);
    let no_root = Malformed::Unreadable(MemError { pa: PhysAddr::new(ROOT), len: 4096 });
    assert_eq!(malformed(&visits(&SparseMem::new(), &regime(39))), [(0, no_root)]);
    let fault = translate(&mem, &regime(39), InputAddr::new(1 << 30)).expect_err("no table");
    assert_eq!(
        (fault.kind, fault.level, fault.entry_pa.get()),
        (FaultKind::Unreadable, level(2), 0x9000_0000)
    );
}

#[test]
fn only_tables_whose_bytes_changed_are_reported_as_changed() {
    let mut mem = memory(1);
    mem.write_table(PhysAddr::new(ROOT), &[L2 | 3]);
    mem.write_table(PhysAddr::new(L2), &[L3 | 3]);
    mem.write_table(PhysAddr::new(L3), &[0x5000 | PAGE]);
    let mut cache = TableCache::new();
    let changed = |cache: &mut TableCache, mem: &SparseMem| {
        let mut tables = Vec::new();
        cache.walk(mem, &regime(39), |visit| {
            if let Visit::Table { pa, changed: true, .. } = visit {
                tables.push(pa.get());
            }
        });
        tables
    };
    assert_eq!(changed(&mut cache, &mem), [ROOT, L2, L3]);
    assert_eq!(changed(&mut cache, &mem), []);
    mem.write_u64(PhysAddr::new(L3), HYP);
    assert_eq!(changed(&mut cache, &mem), [L3]);
    let mut cached = Vec::new();
    cache.walk(&mem, &regime(39), |visit| cached.push(visit));
    let same = |visit: &Visit| match *visit {
        Visit::Table { pa, level, ia, entries, .. } => {
            Visit::Table { pa, level, ia, entries, changed: false }
        }
        other => other,
    };
    assert_eq!(cached, visits(&mem, &regime(39)).iter().map(same).collect::<Vec<_>>());
    mem.write_u64(PhysAddr::new(L2), 0);
    assert_eq!(changed(&mut cache, &mem), [L2]);
    assert_eq!(cache.tables().count(), 2, "a table that is not reached is forgotten");
    mem.write_u64(PhysAddr::new(L2), L3 | 3);
    assert_eq!(changed(&mut cache, &mem), [L2, L3]);
}

#[test]
fn the_same_bytes_at_another_level_are_decoded_again() {
    let mut mem = memory(1);
    mem.write_table(PhysAddr::new(ROOT), &[L2 | 3]);
    mem.write_table(PhysAddr::new(L2), &[0x4000_0003]);
    let mut cache = TableCache::new();
    cache.walk(&mem, &regime(39), |_| {});
    // Now the page that was a level-2 table is a level-3 table, where 0b11 means a page.
    mem.write_table(PhysAddr::new(ROOT), &[L3 | 3]);
    mem.write_table(PhysAddr::new(L3), &[L2 | 3]);
    let mut found = Vec::new();
    cache.walk(&mem, &regime(39), |visit| found.push(visit));
    assert_eq!(leaves(&found), [(0, 4096, 0x4000_0000)]);
}

#[test]
fn an_access_without_the_access_flag_faults_unless_hardware_sets_it() {
    let mut mem = memory(1);
    mem.write_u64(PhysAddr::new(ROOT), BLOCK & !(1 << 10));
    let software = regime(39);
    let fault = translate(&mem, &software, InputAddr::new(0x123)).expect_err("AF is 0");
    assert_eq!((fault.kind, fault.level), (FaultKind::AccessFlag, level(1)));
    let hardware = Regime { hw_af: true, ..software };
    assert_eq!(
        translate(&mem, &hardware, InputAddr::new(0x123)).expect("AF does not count").oa,
        PhysAddr::new(0x123)
    );
}

#[test]
fn a_fault_on_an_annotated_entry_names_the_owner() {
    let mut mem = memory(1);
    mem.write_u64(PhysAddr::new(ROOT), HYP);
    let fault = translate(&mem, &regime(39), InputAddr::new(0x1000)).expect_err("annotated");
    assert_eq!(fault.kind, FaultKind::Invalid);
    assert_eq!(fault.annotation().expect("annotated").owner, 1);
    assert_eq!(
        fault.to_string(),
        "0x000000001000: translation fault at L1, entry 0x2000000000000002 at 0x000000010000"
    );
}

#[test]
fn stage_1_tables_hand_their_restrictions_down() {
    let regs = SysRegs {
        ttbr0_el2: ROOT,
        tcr_el2: 25 | 2 << 16,
        mair_el2: 0xff,
        sctlr_el2: 1,
        ..SysRegs::default()
    };
    let regime = Regime::el2_stage1(&regs).expect("legal").expect("on");
    let mut mem = memory(1);
    mem.write_u64(PhysAddr::new(ROOT), 1 << 62 | L2 | 3);
    mem.write_u64(PhysAddr::new(L2), 1 << 60 | L3 | 3);
    mem.write_u64(PhysAddr::new(L3), 0x5000 | 1 << 10 | 3);
    let mut found = None;
    walk(&mem, &regime, |visit| {
        if let Visit::Leaf(run) = visit {
            found = Some(run);
        }
    });
    let run = found.expect("one page");
    assert!(run.tables.no_write && run.tables.uxn && !run.tables.pxn);
    let here = translate(&mem, &regime, InputAddr::new(0x10)).expect("mapped");
    assert_eq!((here.oa.get(), here.tables), (0x5010, run.tables));
}
