//! Stream tables, linear and two-level.

use parallax_addr::PhysAddr;
use parallax_smmu::strtab::{Layout, StreamFault, StreamTable, TableMemory};
use parallax_smmu::{Config, Ste, StreamRun};
use parallax_vmsa::mem::{MemError, SparseMem};

use crate::common::{STRTAB_BASE, STRTAB_BASE_CFG, regs};
use proptest::prelude::*;

const BASE: u64 = 0x4800_0000;
const ABORT: Ste = Ste([1, 0, 0, 0, 0, 0, 0, 0]);
const BYPASS: Ste = Ste([1 | 0b100 << 1, 0, 0, 0, 0, 0, 0, 0]);
const INVALID: Ste = Ste([0; 8]);

fn table(base: u64, cfg: u32) -> StreamTable {
    StreamTable::from_regs(&regs(&[
        (STRTAB_BASE, base as u32),
        (STRTAB_BASE + 4, (base >> 32) as u32),
        (STRTAB_BASE_CFG, cfg),
    ]))
}

fn linear(log2size: u32) -> StreamTable {
    table(BASE, log2size)
}

fn two_level(log2size: u32, split: u32) -> StreamTable {
    table(BASE, log2size | split << 6 | 1 << 16)
}

fn write(mem: &mut SparseMem, pa: u64, stes: &[Ste]) {
    for (index, ste) in stes.iter().enumerate() {
        mem.write_table(PhysAddr::new(pa + 64 * index as u64), &ste.0);
    }
}

fn run(first: u32, count: u64, entry: Result<Ste, StreamFault>) -> StreamRun {
    StreamRun { first, count, entry }
}

#[test]
fn a_linear_table_is_read_as_runs_of_identical_entries() {
    let mut mem = SparseMem::new();
    write(&mut mem, BASE, &[BYPASS; 8]);
    write(&mut mem, BASE + 3 * 64, &[ABORT, ABORT]);
    let table = linear(3);
    assert_eq!(table.layout, Layout::Linear);
    let (runs, memory) = table.scan(&mem);
    assert_eq!(runs, [run(0, 3, Ok(BYPASS)), run(3, 2, Ok(ABORT)), run(5, 3, Ok(BYPASS))]);
    assert_eq!(memory, [TableMemory { pa: PhysAddr::new(BASE), size: 512, level: 1 }]);
    assert_eq!(table.stream(&mem, 4).map(|ste| ste.config()), Ok(Config::Abort));
    assert_eq!(table.stream(&mem, 8), Err(StreamFault::OutOfRange));
}

#[test]
fn a_two_level_table_is_followed_where_its_descriptors_are_valid() {
    let mut mem = SparseMem::new();
    let level2 = BASE + 0x1_0000;
    // Streams 0..64: 16 of them there. 64..128: none. 128..192: all there. 192..256: Span too large, then reserved.
    mem.write_table(PhysAddr::new(BASE), &[level2 | 5, 0, (level2 + 0x1000) | 7, level2 | 8, level2 | 12]);
    write(&mut mem, level2, &[BYPASS; 16]);
    write(&mut mem, level2 + 0x1000, &[INVALID; 64]);
    let table = two_level(9, 6);
    assert_eq!((table.layout, table.streams(), table.size), (Layout::TwoLevel { split: 6 }, 512, 64));
    let (runs, memory) = table.scan(&mem);
    let expected = [
        run(0, 16, Ok(BYPASS)),
        run(16, 48, Err(StreamFault::BeyondSpan)),
        run(64, 64, Err(StreamFault::NoLevel2)),
        run(128, 64, Ok(INVALID)),
        run(192, 64, Err(StreamFault::BadSpan(8))),
        run(256, 64, Err(StreamFault::BadSpan(12))),
        run(320, 192, Err(StreamFault::NoLevel2)),
    ];
    assert_eq!(runs, expected);
    let second = |pa, size| TableMemory { pa, size, level: 2 };
    let first = TableMemory { pa: PhysAddr::new(BASE), size: 64, level: 1 };
    assert_eq!(
        memory,
        [first, second(PhysAddr::new(level2), 1024), second(PhysAddr::new(level2 + 0x1000), 4096)]
    );
    for run in runs {
        for sid in [u64::from(run.first), u64::from(run.first) + run.count - 1] {
            assert_eq!(table.stream(&mem, sid as u32), run.entry, "stream {sid}");
        }
    }
}

#[test]
fn the_hardware_aligns_tables_and_bounds_their_size() {
    let table = table(BASE + 0x1040, 63);
    assert_eq!((table.log2size, table.base.get()), (16, 0), "LOG2SIZE as written aligns, SIDSIZE bounds");
    assert_eq!(linear(5).base, PhysAddr::new(BASE));
    let small = self::table(BASE + 0x7c0, 4 | 6 << 6 | 1 << 16);
    assert_eq!((small.base.get(), small.size), (BASE + 0x7c0, 8), "one descriptor, aligned to 64 bytes");
    let mut mem = SparseMem::new();
    // Span 7 covers 64 entries: the low twelve bits of the pointer do not count.
    mem.write_u64(PhysAddr::new(BASE), (BASE + 0x2fc0) | 7);
    write(&mut mem, BASE + 0x2000, &[BYPASS; 64]);
    assert_eq!(two_level(6, 6).stream(&mem, 63), Ok(BYPASS));
}

#[test]
fn a_split_beyond_the_table_leaves_one_descriptor_with_the_usable_streams() {
    let mut mem = SparseMem::new();
    mem.write_u64(PhysAddr::new(BASE), (BASE + 0x4000) | 9);
    write(&mut mem, BASE + 0x4000, &[ABORT; 256]);
    let table = two_level(4, 8);
    let (runs, memory) = table.scan(&mem);
    assert_eq!(runs, [run(0, 16, Ok(ABORT))]);
    assert_eq!(memory.len(), 2);
}

#[test]
fn reserved_formats_and_splits_count_as_the_specification_says() {
    assert_eq!(table(BASE, 8 | 2 << 16).layout, Layout::Linear);
    for (split, taken) in [(6, 6), (8, 8), (10, 10), (7, 6), (0, 6), (31, 6)] {
        assert_eq!(two_level(16, split).layout, Layout::TwoLevel { split: taken });
    }
    let no_two_level = regs(&[(0x00, 0x0544_101b), (STRTAB_BASE_CFG, 8 | 6 << 6 | 1 << 16)]);
    assert_eq!(StreamTable::from_regs(&no_two_level).layout, Layout::Linear);
}

#[test]
fn unreadable_tables_are_reported_for_their_streams() {
    let mut mem = SparseMem::new();
    write(&mut mem, BASE, &[ABORT; 64]);
    let (runs, _) = linear(7).scan(&mem);
    let missing = StreamFault::Fetch(MemError { pa: PhysAddr::new(BASE + 4096), len: 4096 });
    assert_eq!(runs, [run(0, 64, Ok(ABORT)), run(64, 64, Err(missing))]);
    let no_descriptor = StreamFault::Fetch(MemError { pa: PhysAddr::new(BASE), len: 8 });
    assert_eq!(two_level(6, 6).scan(&SparseMem::new()).0, [run(0, 64, Err(no_descriptor))]);
}

#[test]
fn sixty_four_thousand_identical_streams_are_one_run() {
    let mut mem = SparseMem::new();
    write(&mut mem, 0, &[BYPASS; 1 << 16]);
    let (runs, _) = table(0, 16).scan(&mem);
    assert_eq!(runs, [run(0, 1 << 16, Ok(BYPASS))]);
}

proptest! {
    #[test]
    fn runs_cover_all_streams_and_agree_with_single_look_ups(
        cfg in (0_u32..12, 0_u32..12, 0_u32..3).prop_map(|(log2size, split, fmt)| log2size | split << 6 | fmt << 16),
        words in proptest::collection::vec((0_u64..1 << 13, prop_oneof![any::<u64>(), (0_u64..1 << 16)]), 0..200),
        sids in proptest::collection::vec(any::<u16>(), 20),
    ) {
        let mut mem = SparseMem::new();
        for page in 0..16 {
            mem.write_u64(PhysAddr::new(page * 4096), 0);
        }
        for (word, value) in words {
            // Half of the writes go to the first table.
            mem.write_u64(PhysAddr::new(8 * if value & 32 == 0 { word % 64 } else { word }), value);
        }
        let table = table(0, cfg);
        let (runs, _) = table.scan(&mem);
        let mut next = 0;
        for run in &runs {
            prop_assert_eq!(u64::from(run.first), next);
            next += run.count;
        }
        prop_assert_eq!(next, table.streams());
        for sid in sids.into_iter().map(u32::from) {
            let single = table.stream(&mem, sid);
            let run = runs.iter().find(|run| (u64::from(run.first)..u64::from(run.first) + run.count).contains(&sid.into()));
            match (single, run.map(|run| run.entry)) {
                (Err(StreamFault::Fetch(_)), Some(Err(StreamFault::Fetch(_)))) => {}
                (Err(StreamFault::OutOfRange), None) => {}
                (single, entry) => prop_assert_eq!(Some(single), entry),
            }
        }
    }
}
