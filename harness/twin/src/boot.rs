//! From options to a machine that has booted.

use hyp_core::addr::{HypVa, PhysAddr as HypPa};
use hyp_core::hw::Memory;
use hyp_core::options::{Options, SmmuMode as HypMode};
use hyp_core::ownership::boot::{Boot, Config, Stage2, pool_size};
use hyp_core::pgtable::attrs::El2Prot;
use hyp_core::pgtable::geometry::PhysSize;
use hyp_core::regions::{Kind, Range, Regions};
use hyp_core::smmu::{Features, Ste};
use parallax_abi::info::HypInfo;
use parallax_addr::{AddressMap, PAGE_SIZE, PhysAddr, Span};
use parallax_model::Context;
use parallax_smmu::{OFFSETS, RawRegs};
use parallax_trace::spec::{MmioPolicy, RAM_BASE, SmmuMode};
use parallax_vmsa::SysRegs;

use crate::hardware::{Commands, Core, Hardware};
use crate::machine::Machine;
use crate::twin::Twin;

/// What differs between machines.
#[derive(Clone, Copy, Debug)]
pub struct Board {
    /// The hypervisor's command line.
    pub options: &'static str,
    /// Bytes of memory.
    pub memory: u64,
    /// Bits of the SMMU's addresses.
    pub smmu_bits: u8,
}

impl Default for Board {
    fn default() -> Self {
        Self { options: "", memory: 256 << 20, smmu_bits: 48 }
    }
}

/// Where the image lies from the first byte of memory on, and its size.
const IMAGE: (u64, u64) = (0x20_0000, 0x1_0000);
/// The first of its EL2 virtual addresses.
const IMAGE_VA: u64 = 0xa000_0000_0000;
/// EL2 virtual address less physical address.
const LINEAR: u64 = 0x8000_0000_0000;
/// The SMMU's frame.
const SMMU: (u64, u64) = (0x905_0000, 0x2_0000);
/// A page of MMIO that the host has.
const RTC: (u64, u64) = (0x901_0000, 0x1000);
/// Streams are numbered by this many bits.
const SID_BITS: u8 = 4;
/// CMDQ_BASE.LOG2SIZE and EVENTQ_BASE.LOG2SIZE: a page each.
const CMDQ_LOG2: u64 = 8;
const EVENTQ_LOG2: u64 = 7;
/// ID_AA64MMFR0_EL1.PARange: 48 bits.
const PARANGE: u8 = 5;

/// The memory that the hypervisor gets for structures that walkers do not read as tables.
struct Own {
    strtab: HypPa,
    cmdq: HypPa,
    eventq: HypPa,
    /// Where the pools' accounts are put.
    accounts: HypPa,
}

fn range((base, size): (u64, u64)) -> Range {
    Range { base: HypPa(base), size }
}

fn span(range: Range) -> Span<PhysAddr> {
    Span::new(PhysAddr::new(range.base.0), range.size)
}

/// Boots `board`.
///
/// # Panics
/// The hypervisor does not boot: the options are wrong, or its pool does not fit.
#[must_use]
pub fn boot(board: Board) -> Twin {
    let options = Options::parse(board.options).expect("options");
    let ram = Range { base: HypPa(RAM_BASE.get()), size: board.memory };
    let mut regions = Regions::new(PhysSize(PARANGE).bits());
    regions.set(ram, Kind::Memory).expect("room for a region");
    let size = pool_size(&regions, &options, PhysSize(PARANGE), 8);
    let pool = Range { base: HypPa(ram.base.0 + 0x40_0000), size };
    let image = range((ram.base.0 + IMAGE.0, IMAGE.1));
    let hardware = Hardware::new(RAM_BASE, board.memory);
    let config = Config {
        regions,
        image,
        pool,
        options: options.clone(),
        pa_size: PhysSize(PARANGE),
        bbm_level_2: true,
        linear_offset: LINEAR,
    };
    let mut boot = Boot::new(hardware.clone(), config).expect("a boot");
    let own = own(&mut boot);
    let text = HypVa(IMAGE_VA);
    boot.map_el2(text, image.base, PAGE_SIZE, El2Prot::Text).expect("a mapping");
    let data = HypPa(image.base.0 + PAGE_SIZE);
    boot.map_el2(HypVa(text.0 + PAGE_SIZE), data, image.size - PAGE_SIZE, El2Prot::Data).expect("a mapping");
    let with_smmu = options.smmu != HypMode::Off;
    if with_smmu {
        boot.map_el2(HypVa(SMMU.0 + LINEAR), HypPa(SMMU.0), SMMU.1, El2Prot::Device).expect("a mapping");
    }
    let (pages, el2_root) = (*boot.pages(), boot.el2_root().0);
    let features = features(board.smmu_bits.into());
    let stage2 = boot.stage2(with_smmu.then_some(&features)).expect("stage 2");
    let sys = registers(&stage2, el2_root);
    if with_smmu {
        streams(&hardware, &stage2, &features, &own);
    }
    let commands = Commands::default();
    let smmu = with_smmu.then(|| (commands.clone(), range(SMMU)));
    let hyp: Core = stage2.finish(smmu).expect("the end of the boot");
    let info = HypInfo {
        image_pa: image.base.0,
        image_va: IMAGE_VA,
        image_size: image.size,
        pool_pa: pool.base.0,
        pool_size: pool.size,
        vmemmap_pa: pages.base().0,
        vmemmap_first_pfn: pages.first().0,
        vmemmap_nr: pages.nr(),
        linear_offset: LINEAR,
        smmu_pa: if with_smmu { SMMU.0 } else { 0 },
        smmu_size: if with_smmu { SMMU.1 } else { 0 },
        cmdq_pa: own.cmdq.0,
        cmdq_size: PAGE_SIZE,
        evtq_pa: own.eventq.0,
        evtq_size: PAGE_SIZE,
        cpus: 1,
        pools_pa: [own.accounts.0, own.accounts.0 + 64],
        ..HypInfo::default()
    };
    let smmu = with_smmu.then(|| smmu_registers(&own, board.smmu_bits));
    let context = context(&options, span(ram), (span(image), span(pool)));
    Twin::new(Machine::new(hardware, commands, hyp, sys, smmu), info, context)
}

fn own(boot: &mut Boot<Hardware>) -> Own {
    let mut page = |what| boot.alloc(what, 1, PAGE_SIZE).expect("a page");
    Own {
        strtab: page("stream table"),
        cmdq: page("command queue"),
        eventq: page("event queue"),
        accounts: page("accounts"),
    }
}

fn features(bits: u32) -> Features {
    Features {
        two_level: true,
        stage1: true,
        ats: false,
        hyp: false,
        sid_bits: 16,
        cmdq_log2: 8,
        evtq_log2: 8,
        stalls: false,
        range_invalidation: true,
        bbml2: true,
        input_bits: bits,
        output_bits: bits,
    }
}

/// Every stream has stage 2.
fn streams(hardware: &Hardware, stage2: &Stage2<Hardware>, features: &Features, own: &Own) {
    let table = stage2.smmu_stage2(features).expect("a table for the SMMU");
    let ste = Ste::stage2_only(&table);
    for (stream, dword) in (0..1_u64 << SID_BITS).flat_map(|stream| (0..8).map(move |dword| (stream, dword)))
    {
        hardware.write(HypPa(own.strtab.0 + stream * 64 + dword * 8), ste.0[dword as usize]);
    }
}

/// The registers of translation as a CPU has them that runs the host: DDI 0487, D24.2.
fn registers(stage2: &Stage2<Hardware>, el2_root: u64) -> SysRegs {
    // HCR_EL2: VM, SWIO, TSC, RW. SCTLR_EL2: M, C, SA, EOS, I, WXN, EIS and RES1.
    let hcr_el2 = 1 | 1 << 1 | 1 << 19 | 1 << 31;
    let sctlr_el2 = 0x30c5_0830 | 1 | 1 << 2 | 1 << 3 | 1 << 11 | 1 << 12 | 1 << 19 | 1 << 22;
    // TCR_EL2: 48 bits, write-back and inner shareable walks, PS of 48 bits. MAIR_EL2: write-back, Device-nGnRE.
    let tcr_el2 = 16 | 1 << 8 | 1 << 10 | 3 << 12 | 5 << 16 | 1 << 23 | 1 << 31;
    SysRegs {
        vttbr_el2: stage2.vttbr_el2(),
        vtcr_el2: stage2.vtcr_el2(),
        hcr_el2,
        ttbr0_el2: el2_root,
        tcr_el2,
        mair_el2: 0x04ff,
        sctlr_el2,
        control: None,
    }
}

/// The SMMU's registers: IHI 0070, 6.3.
fn smmu_registers(own: &Own, bits: u8) -> RawRegs {
    let mut registers = RawRegs(OFFSETS.iter().map(|offset| (*offset, 0)).collect());
    let on = 0b1101;
    let sizes = [32, 36, 40, 42, 44, 48];
    let oas = sizes.iter().position(|size| *size == bits).expect("a size of addresses") as u32;
    let high = |base: HypPa| (base.0 >> 32) as u32;
    let values = [
        // IDR0, IDR1, IDR3, IDR5: both stages, ranges, BBML 2, the size of addresses.
        (0x00, 0x0d44_101b),
        (0x04, 0x0273_0010),
        (0x0c, 0x1414),
        (0x14, 0x70 | oas),
        // CR0, CR0ACK, CR1, CR2, GBPA.
        (0x20, on),
        (0x24, on),
        (0x28, 0xd75),
        (0x2c, 0x6),
        (0x44, 1 << 20),
        // STRTAB_BASE, STRTAB_BASE_CFG: linear.
        (0x80, own.strtab.0 as u32),
        (0x84, high(own.strtab) | 1 << 30),
        (0x88, SID_BITS.into()),
        // CMDQ_BASE, EVENTQ_BASE.
        (0x90, (own.cmdq.0 | CMDQ_LOG2) as u32),
        (0x94, high(own.cmdq) | 1 << 30),
        (0xa0, (own.eventq.0 | EVENTQ_LOG2) as u32),
        (0xa4, high(own.eventq) | 1 << 30),
    ];
    registers.0.extend(values);
    registers
}

fn context(
    options: &Options,
    ram: Span<PhysAddr>,
    (image, pool): (Span<PhysAddr>, Span<PhysAddr>),
) -> Context {
    let regions = [("rtc", span(range(RTC))), ("smmu", span(range(SMMU))), ("ram", ram)];
    let smmu = match options.smmu {
        HypMode::Off => SmmuMode::Off,
        HypMode::Shadow => SmmuMode::Shadow,
        HypMode::Shared => SmmuMode::Shared,
    };
    let cacheable = options.mmio == hyp_core::idmap::MmioPolicy::Cacheable;
    Context {
        symbols: AddressMap::of_regions(regions).with_hypervisor(image, pool),
        memory: vec![ram],
        smmu,
        mmio: if cacheable { MmioPolicy::Cacheable } else { MmioPolicy::Region },
        sid_bits: SID_BITS,
        emulated: false,
        smmu_stage1: true,
        lpis: Vec::new(),
        masters: Vec::new(),
        common: Vec::new(),
        donated: Vec::new(),
        smmu_fails: false,
        freedoms: parallax_model::Freedoms::default(),
        loaded: Vec::new(),
    }
}
