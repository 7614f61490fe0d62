//! Properties over random tables: nothing panics, every walk ends, and walk and single translation agree.

use std::collections::BTreeMap;

use parallax_addr::{InputAddr, PAGE_SIZE, PhysAddr};
use parallax_vmsa::mem::SparseMem;
use parallax_vmsa::regime::{Regime, Stage2Fields};
use parallax_vmsa::walk::{TableCache, Visit, walk};
use parallax_vmsa::{Annotation, FaultKind, MemError, PhysMem, Stage1Attrs, Stage2Attrs, SysRegs, translate};
use proptest::prelude::*;

/// Tables live in this many pages from address 0 on, so that random entries often point to one another.
const PAGES: u64 = 24;

/// An entry: often a table or a leaf near the tables, sometimes any bits at all.
fn entry() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => Just(0),
        6 => (0..PAGES + 2, 0_u64..4).prop_map(|(page, low)| (page * PAGE_SIZE) | (1 << 10) | low),
        2 => any::<u64>(),
        1 => Just(0x2000_0000_0000_0002),
    ]
}

/// Memory of random tables, few entries set in each.
fn memory() -> impl Strategy<Value = SparseMem> {
    proptest::collection::vec((0..PAGES, 0_u64..512, entry()), 0..400).prop_map(|writes| {
        let mut mem = SparseMem::new();
        for page in 0..PAGES {
            mem.write_table(PhysAddr::new(page * PAGE_SIZE), &[0; 512]);
        }
        for (page, index, desc) in writes {
            // Half of the writes go to the low entries, where tables are likely to meet.
            let index = if index % 2 == 0 { index % 8 } else { index };
            mem.write_u64(PhysAddr::new(page * PAGE_SIZE + 8 * index), desc);
        }
        mem
    })
}

fn stage2() -> impl Strategy<Value = Regime> {
    let narrow = [(40, 1, None), (43, 1, None), (48, 2, None), (31, 1, None), (34, 0, None)];
    let wide = [(52, 2, Some(3)), (52, 4, Some(0)), (49, 4, Some(2)), (48, 2, Some(3))];
    let sizes = proptest::sample::select([&narrow[..], &wide].concat());
    (sizes, 0_u8..7, any::<bool>()).prop_map(|((ia_bits, sl0, lpa2), ps, ha)| {
        let fields = Stage2Fields {
            root: PhysAddr::new(0),
            t0sz: 64 - ia_bits,
            sl0,
            tg0: 0,
            ps,
            oa_limit: if lpa2.is_some() { 52 } else { 48 },
            lpa2,
            ha,
            fwb: false,
            vmid: 0,
        };
        fields.regime().expect("a legal combination")
    })
}

/// Memory that knows how often each page was written.
struct Told(SparseMem, BTreeMap<PhysAddr, u64>);

impl PhysMem for Told {
    fn read(&self, pa: PhysAddr, buf: &mut [u8]) -> Result<(), MemError> {
        self.0.read(pa, buf)
    }

    fn version(&self, pa: PhysAddr) -> Option<u64> {
        Some(self.1.get(&pa).copied().unwrap_or_default())
    }
}

/// What is at each entry's first input address, and whether it can be reached.
type Entries = BTreeMap<InputAddr, (u64, bool)>;

fn put(entries: &mut Entries, visit: &Visit) {
    let (run, good) = match visit {
        Visit::Table { .. } => return,
        Visit::Leaf(run) | Visit::Invalid(run) => (run, true),
        Visit::Malformed(run, _) => (run, false),
    };
    let (size, leaf) = (run.level.entry_size(), matches!(visit, Visit::Leaf(_)));
    for number in 0..u64::from(run.count) {
        let desc = run.desc.wrapping_add(if leaf { number * size } else { 0 });
        entries.insert(run.ia.wrapping_add(number * size), (desc, good));
    }
}

proptest! {
    #[test]
    fn what_is_walked_again_is_what_a_whole_walk_finds(
        mem in memory(),
        regime in stage2(),
        changes in proptest::collection::vec((0..PAGES, 0_u64..512, entry()), 1..8),
    ) {
        let mut told = Told(mem, BTreeMap::new());
        let (mut cache, mut entries) = (TableCache::new(), Entries::new());
        cache.walk(&told, &regime, |visit| put(&mut entries, &visit));
        for (page, index, desc) in changes {
            let page = PhysAddr::new(page * PAGE_SIZE);
            told.0.write_u64(page.wrapping_add(8 * index), desc);
            *told.1.entry(page).or_default() += 1;
            let known = cache.rewalk(&told, &regime, &[page], |span, visits| {
                let gone: Vec<InputAddr> = entries.range(span.base..span.end()).map(|(ia, _)| *ia).collect();
                gone.iter().for_each(|ia| _ = entries.remove(ia));
                visits.iter().for_each(|visit| put(&mut entries, visit));
            });
            let mut whole = Entries::new();
            if !known {
                entries.clear();
                cache.walk(&told, &regime, |visit| put(&mut entries, &visit));
            }
            walk(&told, &regime, |visit| put(&mut whole, &visit));
            prop_assert_eq!(&entries, &whole);
            // What the cache kept is what it would read.
            let mut kept = Entries::new();
            cache.clone().walk(&told, &regime, |visit| put(&mut kept, &visit));
            prop_assert_eq!(&kept, &whole);
        }
    }

    #[test]
    fn a_walk_ends_in_order_and_reads_each_table_once(mem in memory(), regime in stage2()) {
        let mut tables = BTreeMap::new();
        let mut last_end = 0;
        walk(&mem, &regime, |visit| match visit {
            Visit::Table { pa, .. } => *tables.entry(pa).or_insert(0) += 1,
            Visit::Leaf(run) | Visit::Invalid(run) => {
                assert!(run.ia >= InputAddr::new(last_end), "runs do not overlap and come in order");
                last_end = run.end().get();
                assert!(last_end <= regime.ia_end().get());
            }
            Visit::Malformed(run, _) => assert!(run.ia >= InputAddr::new(last_end)),
        });
        prop_assert!(tables.values().all(|times| *times == 1));
        prop_assert!(tables.len() as u64 <= PAGES + 2);
    }

    #[test]
    fn a_leaf_of_the_walk_translates_to_its_output(mem in memory(), regime in stage2()) {
        let mut runs = Vec::new();
        walk(&mem, &regime, |visit| {
            if let Visit::Leaf(run) = visit {
                runs.push(run);
            }
        });
        for run in runs {
            for offset in [0, run.size() / 2 + 0x18, run.size() - 1] {
                match translate(&mem, &regime, run.ia.wrapping_add(offset)) {
                    Ok(found) => {
                        prop_assert_eq!(found.oa, run.oa().wrapping_add(offset));
                        prop_assert_eq!(found.level, run.level);
                        prop_assert_eq!(found.stage2(false), run.stage2(false));
                    }
                    Err(fault) => {
                        prop_assert_eq!(fault.kind, FaultKind::AccessFlag);
                        prop_assert!(!run.stage2(false).af && !regime.hw_af);
                    }
                }
            }
        }
    }

    #[test]
    fn a_cached_walk_finds_what_a_fresh_one_finds(
        mem in memory(),
        regime in stage2(),
        changes in proptest::collection::vec((0..PAGES, 0_u64..512, entry()), 1..20),
    ) {
        let findings = |cache: &mut TableCache, mem: &SparseMem| {
            let mut found = Vec::new();
            cache.walk(mem, &regime, |visit| {
                if !matches!(visit, Visit::Table { .. }) {
                    found.push(visit);
                }
            });
            found
        };
        let (mut mem, mut cache) = (mem, TableCache::new());
        findings(&mut cache, &mem);
        for (page, index, desc) in changes {
            mem.write_u64(PhysAddr::new(page * PAGE_SIZE + 8 * index), desc);
            prop_assert_eq!(findings(&mut cache, &mem), findings(&mut TableCache::new(), &mem));
        }
    }

    #[test]
    fn any_registers_and_descriptors_decode_without_a_panic(
        values in any::<[u64; 7]>(),
        desc in any::<u64>(),
        ia in any::<u64>(),
        mem in memory(),
    ) {
        let [vttbr_el2, vtcr_el2, hcr_el2, ttbr0_el2, tcr_el2, mair_el2, sctlr_el2] = values;
        let regs = SysRegs { vttbr_el2, vtcr_el2, hcr_el2, ttbr0_el2, tcr_el2, mair_el2, sctlr_el2, control: None };
        for regime in [Regime::stage2(&regs), Regime::el2_stage1(&regs)].into_iter().flatten().flatten() {
            walk(&mem, &regime, |_| {});
            let _ = translate(&mem, &regime, InputAddr::new(ia));
        }
        for fwb in [false, true] {
            let attrs = Stage2Attrs::decode(desc, fwb, fwb);
            prop_assert_eq!(attrs.page_state(), attrs.sw & 3);
        }
        let _ = Stage1Attrs::decode(desc, true).mem_type(mair_el2);
        prop_assert_eq!(Annotation::decode(desc).is_some(), desc != 0 && desc & 1 == 0);
    }
}
