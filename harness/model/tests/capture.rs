//! Snapshots of hand-made registers and memory.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parallax_abi::info::HypInfo;
use parallax_addr::{PhysAddr, Point, VmHandle};
use parallax_model::raw::Roots;
use parallax_model::{CaptureCache, Ownership, S1Entry, S2Entry, Snapshot, capture};
use parallax_smmu::RawRegs;
use parallax_vmsa::{MemError, PhysMem, Regime, SparseMem, SysRegs};
use proptest::prelude::*;

const RAM: u64 = 0x4000_0000;
const ROOT: u64 = RAM + 0x10_0000;
const L2: u64 = ROOT + 0x1000;
const L3: u64 = ROOT + 0x2000;
const EL2_ROOT: u64 = ROOT + 0x3000;
const STRTAB: u64 = ROOT + 0x7000;
const STES: u64 = ROOT + 0x8000;
const SMMU_ROOT: u64 = ROOT + 0xc000;
const VMEMMAP: u64 = ROOT + 0xd000;
const LAST: u64 = ROOT + 0xe000;

const TABLE: u64 = 0b11;
const PAGE: u64 = 0b11;
const BLOCK: u64 = 0b01;
/// AF, inner shareable, S2AP read-write, MemAttr write-back.
const HOST: u64 = 0x7fc;
const XN: u64 = 1 << 54;
const HYP: u64 = 0x2000_0000_0000_0002;
/// V, Config = stage 2.
const STE0: u64 = 0b110 << 1 | 1;
const STE1: u64 = 1 << 44;
/// S2VMID = 0, S2T0SZ = 25, S2SL0 = 1, S2PS = 40 bits, S2AA64, S2R.
const STE2: u64 = 25 << 32 | 1 << 38 | 2 << 48 | 1 << 51 | 1 << 58;

struct Setup {
    mem: SparseMem,
    sys: SysRegs,
    smmu: RawRegs,
    info: HypInfo,
}

/// IPA 0x4000_0000: page mapped; +0x1000: annotated; +2 MiB: a block; 0x0 to 1 GiB: an MMIO block.
fn setup() -> Setup {
    let mut mem = SparseMem::new();
    for page in (ROOT..LAST).step_by(0x1000) {
        mem.write_u64(PhysAddr::new(page), 0);
    }
    mem.write_table(PhysAddr::new(ROOT), &[HOST | XN | BLOCK, L2 | TABLE]);
    mem.write_table(PhysAddr::new(L2), &[L3 | TABLE, (RAM + 0x20_0000) | HOST | BLOCK]);
    mem.write_table(PhysAddr::new(L3), &[RAM | HOST | PAGE, HYP, 0]);
    // EL2: 39 bits, one page of the root's own 1 GiB, executable and read-only.
    mem.write_table(PhysAddr::new(EL2_ROOT), &[0, (EL2_ROOT + 0x1000) | TABLE]);
    mem.write_table(PhysAddr::new(EL2_ROOT + 0x1000), &[(EL2_ROOT + 0x2000) | TABLE]);
    mem.write_table(PhysAddr::new(EL2_ROOT + 0x2000), &[RAM | 0b11 << 8 | 1 << 10 | 0b10 << 6 | PAGE]);
    // One level-2 table of 256 entries, of which stream 8 and 9 are valid.
    mem.write_table(PhysAddr::new(STRTAB), &[STES | 9]);
    for sid in [8, 9] {
        mem.write_table(PhysAddr::new(STES + 64 * sid), &[STE0, STE1, STE2, SMMU_ROOT]);
    }
    mem.write_table(PhysAddr::new(SMMU_ROOT), &[HOST | BLOCK, RAM | HOST | BLOCK]);
    // Frame 0: the host's; frame 1: the hypervisor's; frame 2: shared and pinned.
    mem.write_table(PhysAddr::new(VMEMMAP), &[0, 3 << 24 | 3 << 28, 1 | 1 << 24 | 1 << 28, 0]);
    Setup { mem, sys: sys(), smmu: smmu(), info: info() }
}

fn sys() -> SysRegs {
    SysRegs {
        hcr_el2: 1 << 31 | 1,
        vttbr_el2: ROOT,
        vtcr_el2: 25 | 1 << 6 | 1 << 8 | 1 << 10 | 3 << 12 | 2 << 16 | 1 << 31,
        sctlr_el2: 1 | 1 << 19,
        ttbr0_el2: EL2_ROOT,
        tcr_el2: 25 | 2 << 16 | 1 << 31 | 1 << 23,
        mair_el2: 0xff,
        control: None,
    }
}

fn smmu() -> RawRegs {
    let mut regs: BTreeMap<u32, u32> = parallax_smmu::OFFSETS.iter().map(|offset| (*offset, 0)).collect();
    // IDR0 to IDR5 as QEMU has them; CR0 and CR0ACK; GBPA; STRTAB: two-level, 256 streams, split 8.
    for (offset, value) in [
        (0x00, 0x0d44_101b),
        (0x04, 0x0273_0010),
        (0x0c, 0x1414),
        (0x14, 0x74),
        (0x20, 0b1101),
        (0x24, 0b1101),
        (0x44, 1 << 20),
        (0x80, STRTAB as u32),
        (0x88, 8 | 8 << 6 | 1 << 16),
    ] {
        regs.insert(offset, value);
    }
    RawRegs(regs)
}

fn told_by(info: &HypInfo) -> parallax_model::Told {
    info.into()
}

fn info() -> HypInfo {
    HypInfo {
        pool_pa: ROOT,
        pool_size: 0x10_0000,
        vmemmap_pa: VMEMMAP,
        vmemmap_first_pfn: RAM >> 12,
        vmemmap_nr: 4,
        ..HypInfo::default()
    }
}

impl Setup {
    fn capture(&self, cache: &mut CaptureCache) -> Snapshot {
        capture(cache, &self.mem, &self.sys, std::iter::empty(), Some(&self.smmu), &told_by(&self.info))
    }

    fn fresh(&self) -> Snapshot {
        self.capture(&mut CaptureCache::default())
    }
}

/// Memory that tells what was written, and counts what is read.
struct Told {
    mem: SparseMem,
    log: Vec<PhysAddr>,
    reads: Cell<usize>,
}

impl Told {
    fn write_u64(&mut self, pa: u64, word: u64) {
        self.mem.write_u64(PhysAddr::new(pa), word);
        self.log.push(PhysAddr::new(pa).page());
    }
}

impl PhysMem for Told {
    fn read(&self, pa: PhysAddr, buf: &mut [u8]) -> Result<(), MemError> {
        self.reads.set(self.reads.get() + 1);
        self.mem.read(pa, buf)
    }

    fn version(&self, pa: PhysAddr) -> Option<u64> {
        self.mem.read(pa, &mut [0; 4096]).ok()?;
        Some(self.log.iter().rposition(|page| *page == pa).map_or(0, |at| at as u64 + 1))
    }

    fn moment(&self) -> Option<u64> {
        Some(self.log.len() as u64)
    }

    fn written(&self, moment: u64) -> Option<Arc<[PhysAddr]>> {
        let pages: BTreeSet<PhysAddr> = self.log[moment as usize..].iter().copied().collect();
        Some(pages.into_iter().collect())
    }
}

fn told() -> (Told, SysRegs, RawRegs, HypInfo) {
    let Setup { mem, sys, smmu, info } = setup();
    (Told { mem, log: Vec::new(), reads: Cell::new(0) }, sys, smmu, info)
}

#[test]
fn only_what_was_written_is_read_again() {
    let (mut mem, sys, smmu, info) = told();
    let mut cache = CaptureCache::default();
    let mut reads = |mem: &Told| {
        mem.reads.set(0);
        let _ = capture(&mut cache, mem, &sys, std::iter::empty(), Some(&smmu), &told_by(&info));
        mem.reads.get()
    };
    assert!(reads(&mem) > 8);
    assert_eq!(reads(&mem), 0, "nothing was written");
    mem.write_u64(L3 + 8, 0);
    assert_eq!(reads(&mem), 1, "a table of the last level");
    mem.write_u64(VMEMMAP + 8, 0);
    assert_eq!(reads(&mem), 1, "the page-state array");
    mem.write_u64(L3 + 0x1000 * 100, 0);
    assert_eq!(reads(&mem), 0, "no table");
}

fn bases<A: Point, T>(runs: &[parallax_model::Run<A, T>]) -> Vec<(u64, u64)> {
    runs.iter().map(|run| (run.base.number(), run.size)).collect()
}

#[test]
fn every_side_is_read() {
    let state = setup().fresh();
    assert_eq!(state.faults, Vec::<String>::new());
    assert_eq!((state.control().input_bits, state.control().root), (39, PhysAddr::new(ROOT)));
    assert_eq!(
        bases(state.host()),
        [(0, 1 << 30), (RAM, 0x1000), (RAM + 0x1000, 0x1000), (RAM + 0x20_0000, 0x20_0000)]
    );
    let leaf = |n: usize| *state.host()[n].value.leaf().expect("mapped");
    assert_eq!((leaf(0).xn, leaf(0).block, leaf(0).offset), (0b10, 30, 0));
    assert_eq!((leaf(1).xn, leaf(1).block, leaf(3).block), (0, 12, 21));
    assert!(leaf(1).is_write_back() && leaf(1).read && leaf(1).write && leaf(1).af);
    assert_eq!(state.host()[2].value, S2Entry::Annotated { raw: HYP });

    let code = *state.el2()[0].value.leaf().expect("mapped");
    assert_eq!(bases(state.el2()), [(RAM, 0x1000)]);
    assert!(code.exec && !code.write && code.offset == 0);

    let smmu = state.smmu.as_ref().expect("an SMMU");
    assert!(smmu.control.enabled && smmu.control.gbpa_abort);
    assert_eq!((smmu.control.strtab_log2size, smmu.control.strtab_split), (8, Some(8)));
    assert_eq!(smmu.control.output_bits, 44);
    assert_eq!(bases(&smmu.streams), [(8, 2)]);
    assert_eq!((smmu.stream(8).expect("valid").table, smmu.stream(7)), (Some(0), None));
    assert_eq!(smmu.stream(8).expect("valid").illegal, "");
    assert_eq!(smmu.tables.len(), 1);
    assert_eq!(
        (smmu.tables[0].root, bases(&smmu.tables[0].entries)),
        (PhysAddr::new(SMMU_ROOT), vec![(0, 2 << 30)])
    );

    assert_eq!(
        bases(state.pages()),
        [(RAM, 0x1000), (RAM + 0x1000, 0x1000), (RAM + 0x2000, 0x1000), (RAM + 0x3000, 0x1000)]
    );
    assert_eq!(
        (state.pages()[1].value.host, state.pages()[1].value.hyp),
        (Ownership::NoPage, Ownership::Owned)
    );
    assert_eq!((state.pages()[2].value.host, state.pages()[2].value.refcount), (Ownership::SharedOwned, 1));

    let users: Vec<_> = state.tables.iter().map(|run| (run.base.get(), run.size, run.value)).collect();
    let cpu = parallax_model::snapshot::TableUse { cpu: true, ..Default::default() };
    assert_eq!(users[0], (ROOT, 0x3000, cpu));
    assert_eq!(
        bases(&state.tables),
        [(ROOT, 0x3000), (EL2_ROOT, 0x3000), (STRTAB, 0x5000), (SMMU_ROOT, 0x1000)]
    );
}

#[test]
fn what_is_wrong_is_said_and_stays_in_its_place() {
    let mut setup = setup();
    setup.mem.write_u64(PhysAddr::new(L3 + 16), 0b01);
    setup.mem.write_u64(PhysAddr::new(L3 + 24), RAM | 0x5000 | HOST | PAGE);
    setup.mem.write_u64(PhysAddr::new(L2 + 8), (RAM + 0x20_0000) | 0x1000 | HOST | BLOCK);
    setup.mem.write_u64(PhysAddr::new(L2 + 16), 0x1_0000_0000 | TABLE);
    setup.mem.write_u64(PhysAddr::new(EL2_ROOT + 0x1000), EL2_ROOT | TABLE);
    let state = setup.fresh();
    assert_eq!(state.host()[3].value, S2Entry::Malformed { raw: 0b01 });
    assert_eq!(state.host()[4].value.leaf().expect("mapped").offset, 0x2000, "another address than its own");
    assert_eq!(state.host()[5].value.leaf().expect("mapped").other, 0x1000, "a block that is not aligned");
    assert_eq!(state.host()[6].value, S2Entry::Malformed { raw: 0x1_0000_0000 | TABLE }, "not memory");
    assert_eq!(state.el2()[0].value, S1Entry::Malformed { raw: EL2_ROOT | TABLE }, "a loop");

    setup.sys.vtcr_el2 |= 1 << 14;
    setup.info.vmemmap_nr = u64::MAX;
    setup.smmu.0.remove(&0x24);
    let state = setup.fresh();
    assert_eq!(state.faults.len(), 3, "{:?}", state.faults);
    assert!(state.host().is_empty() && state.pages().is_empty() && state.smmu.is_none());
}

#[test]
fn an_illegal_entry_says_why_and_has_no_table() {
    let mut setup = setup();
    setup.mem.write_u64(PhysAddr::new(STES + 64 * 8 + 16), STE2 & !(1 << 51));
    let smmu = setup.fresh().smmu.expect("an SMMU");
    assert!(smmu.stream(8).expect("valid").illegal.contains("S2AA64"));
    assert_eq!(smmu.stream(9).expect("valid").illegal, "");
}

fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        Just(0),
        Just(HYP),
        (0_u64..0x100).prop_map(|page| (RAM + page * 0x1000) | HOST | PAGE),
        (0_u64..14).prop_map(|page| (ROOT + page * 0x1000) | TABLE),
        (0_u64..8).prop_map(|block| (RAM + block * 0x20_0000) | HOST | BLOCK),
    ]
}

proptest! {
    #[test]
    fn a_cache_changes_nothing(changes in prop::collection::vec((0_u64..14 * 512, word()), 1..12)) {
        let mut setup = setup();
        let mut cache = CaptureCache::default();
        let _first = setup.capture(&mut cache);
        for (index, word) in changes {
            setup.mem.write_u64(PhysAddr::new(ROOT + 8 * (index & !0x1f0)), word);
            let cached = setup.capture(&mut cache);
            prop_assert_eq!(&cached, &setup.capture(&mut cache));
            prop_assert_eq!(cached, setup.fresh());
        }
    }

    #[test]
    fn what_memory_tells_is_enough(changes in prop::collection::vec((0_u64..14 * 512, word()), 1..24)) {
        let (mut mem, sys, smmu, info) = told();
        let mut cache = CaptureCache::default();
        let _first = capture(&mut cache, &mem, &sys, std::iter::empty(), Some(&smmu), &told_by(&info));
        for two in changes.chunks(2) {
            for (index, word) in two {
                mem.write_u64(ROOT + 8 * (index & !0x1f0), *word);
            }
            let followed = capture(&mut cache, &mem, &sys, std::iter::empty(), Some(&smmu), &told_by(&info));
            prop_assert_eq!(followed, capture(&mut CaptureCache::default(), &mem.mem, &sys, std::iter::empty(), Some(&smmu), &told_by(&info)));
        }
    }

    #[test]
    fn no_registers_panic(vtcr: u64, hcr: u64, tcr: u64, sctlr: u64, ttbr in word(), strtab in word(), cfg: u32) {
        let mut setup = setup();
        setup.sys = SysRegs { vtcr_el2: vtcr, hcr_el2: hcr, tcr_el2: tcr, sctlr_el2: sctlr, vttbr_el2: ttbr, ..setup.sys };
        setup.smmu.0.insert(0x80, strtab as u32);
        setup.smmu.0.insert(0x88, cfg);
        let state = setup.fresh();
        prop_assert_eq!(state.layout.pool.base, PhysAddr::new(ROOT));
    }
}

#[test]
fn the_raw_view_shows_descriptors_and_table_addresses() {
    let setup = setup();
    let layout = parallax_model::Layout::from(&setup.info);
    let symbols = parallax_model::AddressMap::of_regions([(
        "ram",
        parallax_model::Span::new(PhysAddr::new(RAM), 0x1000_0000),
    )])
    .with_hypervisor(layout.image, layout.pool);
    let view = parallax_model::View::All;
    let guests = [(VmHandle::new(0x1000), Regime::stage2(&setup.sys).unwrap().unwrap())];
    let roots = Roots { sys: &setup.sys, smmu: Some(&setup.smmu), guests: &guests };
    let lines = parallax_model::raw::text(&setup.mem, roots, &symbols, view, None);
    for line in [
        "cpu  L1 table 0x40100000 (pool+0x0) of 0x0, 512 entries",
        "cpu    L3[1] 0x2000000000000002 x1 ram+0x1000..+0x2000 invalid",
        "el2  L1 table 0x40103000 (pool+0x3000) of 0x0, 512 entries",
        "ste  level-2 table 0x40108000 (pool+0x8000), 0x4000 bytes",
        "smmu   L1[0] 0x00000000000007fd x2 0x0..0x80000000",
        "guest 0x1000 L1 table 0x40100000 (pool+0x0) of 0x0, 512 entries",
    ] {
        assert!(lines.iter().any(|found| found == line), "{line} is not in\n{}", lines.join("\n"));
    }
    assert!(lines.iter().any(|line| line.starts_with("ste  0x8..0xa 000000000000000d 0000100000000000")));
    // The way of one address.
    let one = parallax_model::raw::text(
        &setup.mem,
        Roots { smmu: None, ..roots },
        &symbols,
        view,
        Some(RAM + 0x1fff),
    );
    assert!(one.iter().any(|line| line.ends_with("x1 ram+0x1000..+0x2000 invalid")), "{one:?}");
    let entries = one.iter().filter(|line| line.starts_with("cpu ") && line.contains("[")).count();
    assert_eq!(entries, 1, "{one:?}");
    // One that is beyond each of them: a line for each says so.
    let none = parallax_model::raw::text(&setup.mem, roots, &symbols, view, Some(1 << 60));
    for lane in ["cpu ", "el2 ", "smmu", "guest 0x1000"] {
        let said = |line: &&String| {
            line.starts_with(lane) && line.contains(" 0x1000000000000000 is not translated: the table at 0x")
        };
        assert_eq!(none.iter().filter(said).count(), 1, "{lane}: {none:?}");
    }
}
