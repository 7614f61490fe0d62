//! A machine of fakes under the ownership code: memory, TLBs that never evict, and a naive model of who owns what.
//!
//! The walker here is written apart from `hyp_core::pgtable`, so that an error there cannot hide itself.

mod fakes;
mod model;

pub(crate) use fakes::{FakeSmmu, Hw, Step};
pub(crate) use model::{IMAGE, NOMAP, Op, RAM, RAM_SIZE};

use fakes::walk;
use hyp_core::addr::{HypVa, Ipa, PhysAddr};
use hyp_core::error::Error;
use hyp_core::options::{Options, SmmuMode};
use hyp_core::ownership::Hyp;
use hyp_core::ownership::boot::{Boot, Config, pool_size};
use hyp_core::page_state::PageStates;
use hyp_core::pgtable::attrs::El2Prot;
use hyp_core::pgtable::geometry::PhysSize;
use hyp_core::regions::{Kind, Range, Regions};
use hyp_core::smmu::{Features, Ste};
use model::{Model, Owner};
use std::collections::BTreeSet;

pub(crate) const LINEAR: u64 = 0x8000_0000_0000;
pub(crate) const DONATED_MMIO: u64 = 0x901_0000;
pub(crate) const FRAME: Range = Range { base: PhysAddr(0x905_0000), size: 0x2_0000 };
const TEXT: HypVa = HypVa(0xa000_0000_0000);
const LOCKED: u64 = 0x1000_0000_0000_0000;
const HYP_OWNED: u64 = 0x2000_0000_0000_0002;
const MEMORY_PAGE: u64 = 0x7ff;
const MEMORY_BLOCK: u64 = 0x7fd;

/// What differs between test machines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) options: &'static str,
    pub(crate) parange: u8,
    pub(crate) bbm: bool,
    pub(crate) bbml2: bool,
    /// Bits of the SMMU's addresses.
    pub(crate) smmu_bits: u32,
}

/// A root table: where it is, the level at which a walk starts, and how many bits it takes.
type Root = (u64, u8, u32);

pub(crate) struct Machine {
    pub(crate) hw: Hw,
    pub(crate) smmu: FakeSmmu,
    pub(crate) hyp: Hyp<Hw, FakeSmmu, spin::relax::Spin>,
    pub(crate) model: Model,
    pub(crate) host_root: Root,
    pub(crate) smmu_root: Option<Root>,
    el2_root: Root,
    pages: PageStates,
    options: Options,
}

fn features(bbml2: bool, smmu_bits: u32) -> Features {
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
        bbml2,
        input_bits: smmu_bits,
        output_bits: smmu_bits,
    }
}

impl Machine {
    pub(crate) fn new(setup: Setup) -> Self {
        let options = Options::parse(setup.options).unwrap();
        Self::with_options(setup, options)
    }

    pub(crate) fn with_options(setup: Setup, options: Options) -> Self {
        let pa_size = PhysSize(setup.parange);
        let mut regions = Regions::new(pa_size.bits());
        regions.set(Range { base: PhysAddr(RAM), size: RAM_SIZE }, Kind::Memory).unwrap();
        regions.set(NOMAP, Kind::NoMap).unwrap();
        let pool = Range { base: PhysAddr(RAM + 0x40_0000), size: pool_size(&regions, &options, pa_size, 4) };
        assert!(pool.end() <= NOMAP.base.0, "the pool takes {:#x} bytes", pool.size);
        let (hw, smmu) = (Hw::new(), FakeSmmu::default());
        let config = Config {
            regions,
            image: IMAGE,
            pool,
            options: options.clone(),
            pa_size,
            bbm_level_2: setup.bbm,
            linear_offset: LINEAR,
        };
        let mut boot = Boot::new(hw.clone(), config).unwrap();
        let el2_root = (boot.el2_root().0, 0, 48);
        boot.alloc("queues", 4, 0x4000).unwrap();
        boot.map_el2(TEXT, IMAGE.base, 0x1000, El2Prot::Text).unwrap();
        boot.map_el2(HypVa(FRAME.base.0 + LINEAR), FRAME.base, FRAME.size, El2Prot::Device).unwrap();
        let pages = *boot.pages();
        let features = features(setup.bbml2, setup.smmu_bits);
        let present = (options.smmu != SmmuMode::Off).then_some(&features);
        let stage2 = boot.stage2(present).unwrap();
        let vtcr = stage2.vtcr_el2();
        let start = |sl0: u64| 2 - sl0 as u8;
        let host_root = (stage2.vttbr_el2(), start((vtcr >> 6) & 3), 64 - (vtcr & 0x3f) as u32);
        let smmu_root = present.map(|features| {
            let [_, _, ste2, ste3, ..] = Ste::stage2_only(&stage2.smmu_stage2(features).unwrap()).0;
            (ste3 & 0xf_ffff_ffff_fff0, start((ste2 >> 38) & 3), 64 - ((ste2 >> 32) & 0x3f) as u32)
        });
        let hyp = stage2.finish(present.map(|_| (smmu.clone(), FRAME))).unwrap();
        let mut model = Model::new(pool);
        model.mmio.extend(options.donated_mmio().iter().map(|page| page.0));
        Self { hw, smmu, hyp, model, host_root, smmu_root, el2_root, pages, options }
    }

    pub(crate) fn host(&self, ia: u64) -> (u64, u64) {
        walk(&self.hw, self.host_root, ia)
    }

    /// Performs `op` on machine and model, and compares their answers. Returns what the hardware saw.
    pub(crate) fn perform(&mut self, op: Op) -> Vec<Step> {
        self.hw.record();
        let hyp = &self.hyp;
        let result = match op {
            Op::Share(pfn) => hyp.host_share_hyp(pfn),
            Op::Unshare(pfn) => hyp.host_unshare_hyp(pfn),
            Op::Pin(pfn, nr) => hyp.hyp_pin_shared_mem(pfn, nr),
            Op::Unpin(pfn, nr) => hyp.hyp_unpin_shared_mem(pfn, nr),
            Op::Donate(pfn, nr) => hyp.host_donate_hyp(pfn, nr),
            Op::Return(pfn, nr) => hyp.hyp_donate_host(pfn, nr),
            Op::ReturnMmio(pfn) => hyp.hyp_donate_host_mmio(pfn, 1),
            Op::Touch(pfn) => self.touch(pfn << 12),
            Op::Dma(pfn) => self.dma(pfn << 12),
        };
        assert_eq!(result, self.model.perform(op, self.smmu_root.map(|root| root.2)), "{op:x?}");
        let steps = self.hw.record();
        self.verify_breaks(&steps);
        steps
    }

    /// An entry of the host's table that is broken stays so until the CPUs' TLBs are clean.
    fn verify_breaks(&self, steps: &[Step]) {
        use Step::*;
        let tables = fakes::tables(&self.hw, self.host_root);
        for (at, step) in steps.iter().enumerate() {
            let Write(slot, LOCKED) = *step else { continue };
            let (sequence, _) =
                steps[at + 1..].split_at(if tables.contains(&(slot & !0xfff)) { 5 } else { 0 });
            let all = matches!(sequence, [] | [DsbIshst, TlbiVmalls12e1is, DsbIsh, Isb, Write(..)]);
            let one = matches!(sequence, [DsbIshst, TlbiIpas2e1is(_), DsbIsh, TlbiVmalle1is, DsbIsh]);
            assert!(all || one, "after a break: {sequence:x?}");
        }
    }

    /// An access of the host's CPU: aborts until it is through, and leaves the entry in the TLB.
    fn touch(&self, ia: u64) -> Result<(), Error> {
        if !self.hyp.host_abort(Ipa(ia)) {
            return Err(Error::Perm);
        }
        let (entry, size) = self.host(ia);
        assert_eq!(entry & 1, 1, "a retried access to {ia:#x} aborts again");
        self.hw.warm(ia & !(size - 1), size);
        Ok(())
    }

    /// An access of a device, which leaves the entry in the SMMU's TLB.
    fn dma(&self, ia: u64) -> Result<(), Error> {
        let Some((root, _, bits)) = self.smmu_root else { return Ok(()) };
        assert!(root != 0);
        if ia >> bits != 0 {
            return Err(Error::Perm);
        }
        match walk(&self.hw, self.smmu_root.unwrap(), ia) {
            (entry, size) if entry & 1 == 1 => {
                self.smmu.warm(ia & !(size - 1), size);
                Ok(())
            }
            _ => Err(Error::Perm),
        }
    }

    /// All tables, page states and TLBs against the model, for the frames `pfns` and for the MMIO that matters.
    pub(crate) fn verify(&self, pfns: impl Iterator<Item = u64>) {
        for pfn in pfns.filter(|&pfn| self.model.is_ram(pfn)) {
            self.verify_page(pfn, self.model.owner(pfn));
        }
        for (base, size) in self.hw.tlb().into_iter().chain(self.smmu.tlb()) {
            let pages = (base..base + size.min(0x20_0000)).step_by(4096);
            let stale = pages.map(|ia| ia >> 12).find(|pfn| !self.model.host_reaches(*pfn));
            assert_eq!(stale, None, "a TLB still holds the {size:#x} bytes at {base:#x}");
        }
        self.verify_mmio();
        self.verify_pool();
        let text = walk(&self.hw, self.el2_root, TEXT.0).0;
        assert!(text & (1 << 7 | 1 << 54) != 0, "EL2's text is writable and executable");
    }

    fn verify_page(&self, pfn: u64, owner: Owner) {
        let pa = pfn << 12;
        let (state, pins) = match owner {
            Owner::Host => (0x0000_0000, 0),
            Owner::Shared(pins) => (0x1100_0000, pins),
            Owner::Hyp => (0x3300_0000, 0),
            Owner::Kept => (0x3300_0000, 1),
        };
        assert_eq!(self.pages.get(&self.hw, PhysAddr(pa)).0, state | pins, "state of {pa:#x}");
        let hosts = matches!(owner, Owner::Host | Owner::Shared(_));
        let leaf = |(entry, size): (u64, u64)| {
            let attrs = if size == 0x1000 { MEMORY_PAGE } else { MEMORY_BLOCK };
            entry == (pa & !(size - 1)) | attrs
        };
        let cpu = self.host(pa);
        let shared = self.options.smmu == SmmuMode::Shared;
        let untouched = cpu.0 == 0 && !shared;
        let right = if hosts { untouched || leaf(cpu) } else { cpu.0 == HYP_OWNED };
        assert!(right, "{owner:?} has {pa:#x}, the CPU's entry is {:#x}", cpu.0);
        if let Some(root) = self.smmu_root.filter(|root| pa >> root.2 == 0) {
            let smmu = walk(&self.hw, root, pa);
            let right = if hosts { leaf(smmu) } else { smmu.0 & 1 == 0 };
            assert!(right, "{owner:?} has {pa:#x}, the SMMU's entry is {:#x}", smmu.0);
        }
        let el2 = walk(&self.hw, self.el2_root, pa + LINEAR).0;
        let mapped = owner == Owner::Hyp || pins > 0 && hosts || self.model.pool_holds(pfn);
        let expected = if mapped { pa | 0x0040_0000_0000_0743 } else { 0 };
        assert_eq!(el2, expected, "EL2's entry for {pa:#x} of {owner:?}");
    }

    fn verify_mmio(&self) {
        use hyp_core::idmap::MmioPolicy::Cacheable;
        let shared = self.options.smmu == SmmuMode::Shared;
        let normal = shared || self.options.mmio == Cacheable;
        for page in
            [0x900_0000, DONATED_MMIO, FRAME.base.0, FRAME.end() - 0x1000, FRAME.end(), 0x10_0000_0000]
        {
            let taken = self.model.mmio.contains(&page)
                || self.smmu_root.is_some() && (FRAME.base.0..FRAME.end()).contains(&page);
            let (cpu, _) = self.host(page);
            let cpu_bits = cpu & !0x0000_ffff_ffff_f002;
            let right = if taken { cpu == HYP_OWNED } else { cpu == 0 || cpu_bits == 0x0040_0000_0000_07fd };
            assert!(right, "the CPU's entry for MMIO at {page:#x} is {cpu:#x}");
            if let Some(root) = self.smmu_root.filter(|root| page >> root.2 == 0) {
                let (entry, size) = walk(&self.hw, root, page);
                let device = if normal { 0x7fd } else { 0x6c5 };
                let attrs = if size == 0x1000 { device | 2 } else { device };
                let xn = if shared { 1 << 54 } else { 0 };
                let right = if taken { entry & 1 == 0 } else { entry == (page & !(size - 1)) | attrs | xn };
                assert!(right, "the SMMU's entry for MMIO at {page:#x} is {entry:#x}");
            }
        }
    }

    /// No table page is lost, used twice, or used while it is free.
    fn verify_pool(&self) {
        let roots = [Some(self.host_root), self.smmu_root, Some(self.el2_root)];
        for root in roots.into_iter().flatten().collect::<BTreeSet<_>>() {
            let tables = fakes::tables(&self.hw, root);
            let distinct: BTreeSet<_> = tables.iter().collect();
            assert_eq!(tables.len(), distinct.len(), "a table is used twice");
        }
        let used = fakes::tables(&self.hw, self.host_root).len() as u64;
        assert_eq!(
            used,
            self.hyp.pools(|pool| pool.range().size / hyp_core::addr::PAGE_SIZE - pool.free_pages())[0],
            "table pages are lost"
        );
    }
}
