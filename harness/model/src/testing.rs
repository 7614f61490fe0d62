//! A small machine in a clean state, for tests: 16 MiB of memory, image, pool, UART and SMMU.

use std::collections::BTreeMap;

use parallax_addr::{AddressMap, HypVa, Ipa, PhysAddr, Point, Span};

use parallax_trace::spec::{MmioPolicy, SmmuMode};
use parallax_vmsa::{ControlRegs, SysRegs};

use crate::context::Context;
use crate::leaf::{S1Entry, S1Leaf, S2Entry, S2Leaf};
use crate::page::{Ownership, PageState};
use crate::run::{self, Run};
use crate::smmu_state::{Queue, SmmuControl, SmmuState, SmmuTable, Stream};
use crate::snapshot::{AddressSpace, Cpu, CpuControl, Layout, Mapping, Snapshot, TableUse};

pub(crate) const RAM: Span = Span::new(0x4000_0000, 0x100_0000);
pub(crate) const IMAGE: Span = Span::new(0x4020_0000, 0x4_0000);
pub(crate) const POOL: Span = Span::new(0x4040_0000, 0x20_0000);
pub(crate) const UART: Span = Span::new(0x900_0000, 0x1000);
pub(crate) const SMMU: Span = Span::new(0x905_0000, 0x2_0000);
pub(crate) const BITS: u8 = 40;
pub(crate) const IMAGE_VA: u64 = 0xa000_0000_0000;
pub(crate) const LINEAR: u64 = 0x8000_0000_0000;
/// A page of the host.
pub(crate) const PAGE: Span = Span::new(0x4080_0000, 0x1000);

pub(crate) const HYP: S2Entry = S2Entry::Annotated { raw: 0x2000_0000_0000_0002 };
pub(crate) const HYP_PAGE: PageState =
    PageState { host: Ownership::NoPage, hyp: Ownership::Owned, refcount: 0, share_count: 0 };
pub(crate) const SHARED_PAGE: PageState =
    PageState { host: Ownership::SharedOwned, hyp: Ownership::SharedBorrowed, refcount: 0, share_count: 0 };

/// Host memory in the CPU's table; with `xn` 0 also memory in the SMMU's.
pub(crate) const MEMORY: S2Leaf = S2Leaf {
    offset: 0,
    block: 12,
    read: true,
    write: true,
    xn: 0,
    memattr: 0b1111,
    fwb: false,
    sh: 0b11,
    af: true,
    contiguous: false,
    dbm: false,
    sw: 0,
    other: 0,
};
pub(crate) const MMIO: S2Leaf = S2Leaf { xn: 0b10, ..MEMORY };
pub(crate) const DEVICE: S2Leaf = S2Leaf { memattr: 0b0001, sh: 0, ..MEMORY };

pub(crate) fn el2(offset: u64, write: bool, exec: bool) -> S1Entry {
    let (mair, sh) = (0xff, 0b11);
    S1Entry::Mapped(S1Leaf { offset, block: 12, write, exec, mair, sh, af: true, contiguous: false, sw: 0 })
}

/// Sets (or clears) the value over `span`.
pub(crate) fn set<A: Point, T: Clone + PartialEq>(runs: &mut Vec<Run<A, T>>, span: Span, value: Option<T>) {
    let mut out = Vec::new();
    let changed = [Run::new(span.cast(), ())];
    for (piece, old, change) in run::overlay(runs, &changed, Span::between(A::at(0), A::at(u64::MAX))) {
        if let Some(value) = change.map_or(old, |()| value.as_ref()) {
            run::push(&mut out, Run::new(piece, value.clone()));
        }
    }
    *runs = out;
}

pub(crate) fn context() -> Context {
    let regions = [("ram", RAM), ("uart", UART), ("smmu", SMMU)].map(|(name, span)| (name, span.cast()));
    Context {
        symbols: AddressMap::of_regions(regions).with_hypervisor(layout().image, layout().pool),
        memory: vec![RAM.cast()],
        smmu: SmmuMode::Shadow,
        mmio: MmioPolicy::Region,
        sid_bits: 8,
        emulated: false,
        smmu_stage1: true,
        lpis: Vec::new(),
        masters: Vec::new(),
        common: vec![UART.cast()],
        loaded: Vec::new(),
        donated: Vec::new(),
        smmu_fails: false,
        freedoms: crate::Freedoms::default(),
    }
}

fn layout() -> Layout {
    Layout {
        parts: Default::default(),
        constants: Span::default(),
        image: IMAGE.cast(),
        image_va: HypVa::new(IMAGE_VA),
        pool: POOL.cast(),
        linear_offset: LINEAR,
        smmu: SMMU.cast(),
        cmdq: Span::new(PhysAddr::new(POOL.base), 0x1000),
        evtq: Span::new(PhysAddr::new(POOL.base + 0x1000), 0x1000),
        described: RAM.cast(),
    }
}

/// Dword 0 of an STE with V = 1 and Config = abort, bypass, stage 2.
pub(crate) const ABORT: u64 = 1;
pub(crate) const BYPASS: u64 = 0b100 << 1 | 1;
const STAGE2: u64 = 0b110 << 1 | 1;

/// Stage 2 with S2T0SZ=24, S2SL0=1, write-back inner-shareable walks, S2PS=40 bits, S2AA64, S2PTW and S2R.
pub(crate) fn stream() -> Stream {
    let stage2 = 24 << 32 | 1 << 38 | 1 << 40 | 1 << 42 | 3 << 44 | 2 << 48 | 1 << 51 | 1 << 54 | 1 << 58;
    let dwords = [STAGE2, 1 << 44, stage2, 0, 0, 0, 0, 0];
    Stream { dwords, table: Some(0), root_below: 0, illegal: String::new() }
}

fn smmu() -> SmmuState {
    let mut entries = Vec::new();
    set(&mut entries, Span::new(0, 1 << BITS), Some(S2Entry::Mapped(DEVICE)));
    set(&mut entries, RAM, Some(S2Entry::Mapped(MEMORY)));
    for own in [IMAGE, POOL, SMMU] {
        set(&mut entries, own, None);
    }
    SmmuState {
        control: SmmuControl {
            enabled: true,
            cmdq_enabled: true,
            evtq_enabled: true,
            gbpa_abort: true,
            cr1: 0xd75,
            cr2: 0,
            irq_ctrl: 0,
            msi: [0; 2],
            gerror: 0,
            cmdq_error: 0,
            strtab_base: PhysAddr::new(POOL.base + 0x2000),
            strtab_below: 0,
            strtab_log2size: 8,
            strtab_split: Some(8),
            cmdq: Queue { base: PhysAddr::new(POOL.base), log2size: 8, below: 0 },
            evtq: Queue { base: PhysAddr::new(POOL.base + 0x1000), log2size: 7, below: 0 },
            output_bits: 44,
            attr_types_ovr: false,
            ranges: false,
        },
        streams: vec![Run::new(Span::new(0, 256), stream())].into(),
        tables: vec![SmmuTable {
            root: PhysAddr::new(POOL.base + 0x4000),
            input_bits: BITS,
            entries: entries.into(),
        }],
        next_command: 0,
    }
}

/// Registers in which nothing is wrong.
pub(crate) fn registers() -> SysRegs {
    SysRegs {
        hcr_el2: 1 << 31 | 1 << 19 | 0b11,
        vtcr_el2: 0x35 << 8,
        tcr_el2: 0x35 << 8,
        sctlr_el2: 0x30cd_183d,
        control: Some(ControlRegs { vbar_el2: IMAGE_VA, ..ControlRegs::default() }),
        ..SysRegs::default()
    }
}

/// A state in which nothing is wrong.
pub(crate) fn clean() -> Snapshot {
    let mut cpu = Vec::new();
    set(&mut cpu, UART, Some(S2Entry::Mapped(MMIO)));
    set(&mut cpu, Span::new(RAM.base, 0xc0_0000), Some(S2Entry::Mapped(MEMORY)));
    let mut pages = Vec::new();
    set(&mut pages, RAM, Some(PageState::HOST_OWNED));
    for own in [IMAGE, POOL, SMMU] {
        set(&mut cpu, own, Some(HYP));
    }
    set(&mut pages, IMAGE, Some(HYP_PAGE));
    set(&mut pages, POOL, Some(HYP_PAGE));
    let image = IMAGE.base.wrapping_sub(IMAGE_VA);
    let va = |base, size| Span::new(HypVa::new(base), size);
    let mut el2_entries = vec![
        Run::new(va(POOL.base + LINEAR, POOL.size), el2(LINEAR.wrapping_neg(), true, false)),
        Run::new(va(IMAGE_VA, 0x2_0000), el2(image, false, true)),
        Run::new(va(IMAGE_VA + 0x2_0000, 0x1_0000), el2(image, false, false)),
        Run::new(va(IMAGE_VA + 0x3_0000, 0x1_0000), el2(image, true, false)),
    ];
    el2_entries.sort_by_key(|run| run.base);
    Snapshot {
        layout: layout(),
        cpus: vec![Cpu {
            number: 0,
            registers: registers(),
            control: CpuControl {
                stage2_enabled: true,
                fwb: false,
                vmid: 0,
                root: PhysAddr::new(POOL.base + 0x5000),
                input_bits: BITS,
                el2_enabled: true,
                el2_wxn: true,
            },
        }],
        spaces: BTreeMap::from([
            (AddressSpace::Host, Mapping::Stage2(cpu.into())),
            (AddressSpace::El2, Mapping::Stage1(el2_entries.into())),
        ]),
        pages: Some(pages.into()),
        pools: None,
        smmu: Some(smmu()),
        gic: None,
        tables: vec![Run::new(
            Span::new(PhysAddr::new(POOL.base + 0x4000), 0x2000),
            TableUse { cpu: true, ..TableUse::default() },
        )]
        .into(),
        guests: None,
        faults: Vec::new(),
    }
}

/// A clean state in which the host has given [`PAGE`] to the hypervisor.
pub(crate) fn donated() -> Snapshot {
    let mut state = clean();
    set(host_mut(&mut state), PAGE, Some(HYP));
    set(smmu_entries(&mut state), PAGE, None);
    set(pages_mut(&mut state), PAGE, Some(HYP_PAGE));
    let va = Span::new(PAGE.base + LINEAR, PAGE.size);
    set(el2_mut(&mut state), va, Some(el2(LINEAR.wrapping_neg(), true, false)));
    state
}

/// The host's stage 2 of a state.
pub(crate) fn host_mut(state: &mut Snapshot) -> &mut Vec<Run<Ipa, S2Entry>> {
    match state.spaces.get_mut(&AddressSpace::Host) {
        Some(Mapping::Stage2(entries)) => entries.make_mut(),
        _ => unreachable!("the small machine has a host"),
    }
}

/// EL2's stage 1 of a state.
pub(crate) fn el2_mut(state: &mut Snapshot) -> &mut Vec<Run<HypVa, S1Entry>> {
    match state.spaces.get_mut(&AddressSpace::El2) {
        Some(Mapping::Stage1(entries)) => entries.make_mut(),
        _ => unreachable!("the small machine has EL2's stage 1"),
    }
}

/// Page states of a state.
pub(crate) fn pages_mut(state: &mut Snapshot) -> &mut Vec<Run<PhysAddr, PageState>> {
    state.pages.as_mut().expect("the small machine has page states").make_mut()
}

/// The SMMU of a state.
pub(crate) fn smmu_of(state: &mut Snapshot) -> &mut SmmuState {
    state.smmu.as_mut().expect("the small machine has an SMMU")
}

/// The entries of the table that all streams use.
pub(crate) fn smmu_entries(state: &mut Snapshot) -> &mut Vec<Run<Ipa, S2Entry>> {
    smmu_of(state).tables[0].entries.make_mut()
}
