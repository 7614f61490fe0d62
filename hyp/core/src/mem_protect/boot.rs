//! Start-up: from the device tree's regions and a range for the page pool to a [`Hyp`] under which the host may run.
//!
//! ```text
//! pool_size()  how much memory the pool needs
//! Boot::new    page pools, page states, EL2's table   -> map_el2, alloc
//! Boot::stage2 the host's and the SMMU's empty tables -> vtcr_el2, vttbr_el2, smmu_stage2
//! Stage2::finish   annotates, donates, takes the snapshot -> Hyp
//! ```
//! All of it runs on one CPU, before the host and before the SMMU is enabled.

use super::{Devices, El2Mmu, HostMmu, Hyp, pages};
use crate::addr::{HypVa, PAGE_SIZE, Pfn, PhysAddr};
use crate::error::Error;
use crate::fault::{Fault, on};
use crate::hw::{Cpu, Memory};
use crate::idmap::{Change, Idmap, host_attrs, piece};
use crate::options::{Options, SmmuMode};
use crate::page_pool::PagePool;
use crate::page_state::{PageState, PageStates, State};
use crate::pgtable::attrs::El2Prot;
use crate::pgtable::geometry::PhysSize;
use crate::pgtable::invalidate::El2Tlb;
use crate::pgtable::{Attrs, Content, Env, Geometry, LAST_LEVEL, SplitRule, Tree, span};
use crate::regions::{Kind, Range, Region, Regions};
use crate::smmu::viommu::Viommu;
use crate::smmu::{self, Features, HostView, SmmuError, SmmuTlb};
use spin::RelaxStrategy;
use spin::mutex::SpinMutex;

/// What start-up needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the device tree says of addresses.
    pub regions: Regions,
    /// The hypervisor's image, page aligned.
    pub image: Range,
    /// The page pool, 2 MiB aligned, of at least [`pool_size`] bytes, in memory, apart from the image.
    pub pool: Range,
    /// The command line.
    pub options: Options,
    /// The CPUs' physical address size.
    pub pa_size: PhysSize,
    /// The CPUs have FEAT_BBM level 2.
    pub bbm_level_2: bool,
    /// EL2 virtual address = physical address + this, for the pool, pinned and donated pages.
    pub linear_offset: u64,
}

/// Why the hypervisor cannot start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootError {
    /// The pool is smaller than [`pool_size`].
    #[error("the page pool has {have:#x} bytes and must have {need:#x}")]
    PoolTooSmall {
        /// Its size in bytes.
        have: u64,
        /// The size that it must have.
        need: u64,
    },
    /// A table of this purpose did not fit into its pool.
    #[error("out of pages for {0}")]
    NoMem(&'static str),
    /// Stage 2 cannot translate addresses of this many bits.
    #[error("no stage-2 table for {0} address bits")]
    AddressBits(u32),
    /// An MMIO page cannot be donated.
    #[error("the MMIO page at {0} cannot be donated: {1}")]
    Mmio(PhysAddr, Error),
}

/// Tables below the root that map all memory page by page, and the region borders anywhere.
fn tables_for(regions: &Regions) -> u64 {
    let memory: u64 = regions.memory().map(|range| range.size / span(2) + range.size / span(1) + 5).sum();
    memory + regions.iter().count() as u64 * 4
}

/// Tables that map all of a stage 2 of `bits` bits by blocks of 1 GiB, root included.
fn tables_for_mmio(bits: u32) -> u64 {
    16 + (1 << bits.saturating_sub(39))
}

/// Pages of the host's stage-2 pool.
fn host_pages(regions: &Regions, options: &Options, pa_size: PhysSize) -> u64 {
    const SPARE: u64 = 64;
    let mmio = if options.smmu == SmmuMode::Shared { tables_for_mmio(pa_size.bits()) } else { 16 + SPARE };
    options.host_s2_pages.unwrap_or(tables_for(regions) + mmio)
}

/// The frames that need a page state: the first one and their number.
fn frames(regions: &Regions) -> (Pfn, u64) {
    let first = regions.memory().next().map_or(0, |range| range.base.pfn().0);
    let end = regions.memory().last().map_or(0, |range| range.end() / PAGE_SIZE);
    (Pfn(first), end.saturating_sub(first))
}

/// How many bytes the page pool must have, a multiple of 2 MiB. `extra` is the number of pages that
/// [`Boot::alloc`] will be asked for.
#[must_use]
pub fn pool_size(regions: &Regions, options: &Options, pa_size: PhysSize, extra: u64) -> u64 {
    const SPARE: u64 = 128;
    let (_, nr) = frames(regions);
    let el2 = PageStates::pages_for(nr) + tables_for(regions) + SPARE;
    let smmu = match options.smmu {
        SmmuMode::Shadow => tables_for(regions) + tables_for_mmio(pa_size.bits()),
        SmmuMode::Shared | SmmuMode::Off => 0,
    };
    let pages = host_pages(regions, options, pa_size) + el2 + smmu;
    pages.saturating_add(extra).saturating_mul(PAGE_SIZE).next_multiple_of(span(2))
}

/// The first part of start-up: there are page pools and EL2's table.
#[derive(Debug)]
pub struct Boot<H> {
    hw: H,
    config: Config,
    pages: PageStates,
    host_pool: PagePool,
    el2: El2Mmu,
    devices: Devices,
}

impl<H: Memory + Cpu> Boot<H> {
    /// Divides the pool and maps it at its linear address in a new EL2 table.
    ///
    /// # Errors
    /// [`BootError::PoolTooSmall`], [`BootError::NoMem`].
    pub fn new(hw: H, config: Config) -> Result<Self, BootError> {
        let need = pool_size(&config.regions, &config.options, config.pa_size, 0);
        let host_size =
            host_pages(&config.regions, &config.options, config.pa_size).saturating_mul(PAGE_SIZE);
        if config.pool.size < need || host_size >= need {
            return Err(BootError::PoolTooSmall { have: config.pool.size, need });
        }
        let host_pool = PagePool::new(Range { size: host_size, ..config.pool });
        let rest = config.pool.size - host_size;
        let mut pool = PagePool::new(Range { base: config.pool.base.add(host_size), size: rest });
        let (first, nr) = frames(&config.regions);
        let array = pool.alloc_contiguous(&hw, PageStates::pages_for(nr), PAGE_SIZE);
        let pages = PageStates::new(array.ok_or(BootError::NoMem("page states"))?, first, nr);
        let tree = Tree::new(&hw, &mut pool, Geometry::el2(), SplitRule::BreakBeforeMake)
            .map_err(|_| BootError::NoMem("EL2's table"))?;
        let mut el2 = El2Mmu { tree, pool, linear_offset: config.linear_offset, held: [None; 4] };
        el2.set_linear(&hw, config.pool, Some(El2Prot::Data)).map_err(|_| BootError::NoMem("EL2's table"))?;
        Ok(Self { hw, config, pages, host_pool, el2, devices: Devices::default() })
    }

    /// The page-state array.
    pub const fn pages(&self) -> &PageStates {
        &self.pages
    }

    /// Physical address of EL2's root table, for TTBR0_EL2.
    pub const fn el2_root(&self) -> PhysAddr {
        self.el2.tree.root()
    }

    /// Takes `pages` zeroed pages in a row at a multiple of `align` bytes (a power of two, at least a page). They are
    /// mapped at their linear address and belong to the hypervisor for good.
    ///
    /// # Errors
    /// [`BootError::NoMem`] with `what`.
    pub fn alloc(&mut self, what: &'static str, pages: u64, align: u64) -> Result<PhysAddr, BootError> {
        self.el2.pool.alloc_contiguous(&self.hw, pages, align).ok_or(BootError::NoMem(what))
    }

    /// Maps `size` bytes (all page aligned) at `va` of EL2 to `pa`, page by page. What is mapped as a device cannot be
    /// given to the host later.
    ///
    /// # Errors
    /// [`BootError::NoMem`].
    pub fn map_el2(&mut self, va: HypVa, pa: PhysAddr, size: u64, prot: El2Prot) -> Result<(), BootError> {
        if prot == El2Prot::Device {
            let free = self.devices.iter_mut().find(|device| device.is_none());
            *free.ok_or(BootError::NoMem("devices"))? = Some(Range { base: pa, size });
        }
        let offset = pa.0.wrapping_sub(va.0);
        let content = Content::Map { offset, attrs: Attrs::el2(prot), largest: LAST_LEVEL };
        let mut env = Env { mem: &self.hw, pool: &mut self.el2.pool, tlb: &mut El2Tlb(&self.hw) };
        self.el2.tree.set(&mut env, va.0, size, content).map_err(|_| BootError::NoMem("EL2's table"))
    }

    /// Makes the host's table and, for mode `shadow`, the SMMU's. Without `smmu` there is no SMMU to take care of.
    ///
    /// # Errors
    /// [`BootError::NoMem`], [`BootError::AddressBits`].
    pub fn stage2(mut self, smmu: Option<&Features>) -> Result<Stage2<H>, BootError> {
        let options = &self.config.options;
        let mode = if smmu.is_some() { options.smmu } else { SmmuMode::Off };
        let cpu_bits = self.config.pa_size.bits();
        let smmu_bits = smmu.map_or(cpu_bits, |smmu| cpu_bits.min(smmu.input_bits).min(smmu.output_bits));
        let smmu_blocks = options.smmu_blocks && smmu.is_some_and(|smmu| smmu.bbml2);
        let shared = mode == SmmuMode::Shared;
        let blocks = !shared || smmu_blocks && self.config.bbm_level_2;
        let host_bits = if shared { smmu_bits } else { cpu_bits };
        let geometry = |bits| Geometry::stage2(bits).ok_or(BootError::AddressBits(bits));

        let split = if shared && blocks { SplitRule::InPlace } else { SplitRule::BreakBeforeMake };
        let tree = Tree::new(&self.hw, &mut self.host_pool, geometry(host_bits)?, split)
            .map_err(|_| BootError::NoMem("the host's table"))?;
        let idmap = match mode {
            SmmuMode::Shadow => {
                let pool = &mut self.el2.pool;
                let tree = Tree::new(&self.hw, pool, geometry(smmu_bits)?, SplitRule::InPlace);
                Some(tree.map_err(|_| BootError::NoMem("the SMMU's table"))?)
            }
            SmmuMode::Shared | SmmuMode::Off => None,
        };
        self.config.regions.truncate(host_bits);
        let largest = |blocks| if blocks { 1 } else { LAST_LEVEL };
        let host =
            HostMmu { tree, pool: self.host_pool, shared, largest_memory: largest(blocks), running: false };
        Ok(Stage2 {
            hw: self.hw,
            config: self.config,
            pages: self.pages,
            el2: self.el2,
            devices: self.devices,
            host,
            idmap,
            smmu_largest: largest(smmu_blocks),
        })
    }
}

/// The second part of start-up: there are empty stage-2 tables.
#[derive(Debug)]
pub struct Stage2<H> {
    hw: H,
    config: Config,
    pages: PageStates,
    el2: El2Mmu,
    devices: Devices,
    host: HostMmu,
    idmap: Option<Tree>,
    smmu_largest: crate::pgtable::Level,
}

impl<H: Memory + Cpu> Stage2<H> {
    /// VTCR_EL2 for the host.
    #[must_use]
    pub const fn vtcr_el2(&self) -> u64 {
        self.host.tree.geometry().vtcr_el2(self.config.pa_size)
    }

    /// VTTBR_EL2 for the host: VMID 0.
    #[must_use]
    pub const fn vttbr_el2(&self) -> u64 {
        self.host.tree.root().0
    }

    /// The table that the streams of an SMMU with these features are to walk: its own, or the host's in shared mode.
    /// It is complete only after [`Stage2::finish`].
    ///
    /// # Errors
    /// The SMMU cannot walk it.
    pub fn smmu_stage2(&self, features: &Features) -> Result<smmu::Stage2, SmmuError> {
        let tree = self.idmap.as_ref().unwrap_or(&self.host.tree);
        let (bits, start) = (tree.geometry().bits(), tree.geometry().start_level());
        smmu::Stage2::new(features, tree.root(), bits, u32::from(start), bits)
    }

    /// Takes image, pool and no-map memory away from the host, donates the SMMU's frame and the MMIO pages of the
    /// command line to the hypervisor, and fills the SMMU's table. On return the SMMU may be enabled and the host may
    /// run. `smmu` is the driver, not yet enabled, and its register frame, which EL2 has mapped.
    ///
    /// # Errors
    /// [`BootError::NoMem`], [`BootError::Mmio`].
    pub fn finish<S: SmmuTlb, R: RelaxStrategy>(
        self,
        smmu: Option<(S, Range)>,
    ) -> Result<Hyp<H, S, R>, BootError> {
        let Self { hw, config, pages, el2, devices, host, idmap, smmu_largest } = self;
        let smmu_frame = smmu.as_ref().map(|(_, frame)| *frame);
        let idmap = smmu.map(|(driver, _)| Idmap::new(driver, idmap, config.options.mmio, smmu_largest));
        let hyp = Hyp {
            hw,
            regions: config.regions,
            pages,
            devices,
            host: SpinMutex::new(host),
            el2: SpinMutex::new(el2),
            smmu: SpinMutex::new(idmap),
            viommu_frame: smmu_frame.filter(|_| config.options.smmu_host == HostView::Emulated),
            viommu: SpinMutex::new(Viommu::new()),
        };
        {
            let (mut host, mut el2) = (hyp.host.lock(), hyp.el2.lock());
            hyp.keep(&mut host, config.image, true)?;
            hyp.keep(&mut host, config.pool, !on(Fault::PoolNotAnnotated))?;
            for Region { range, .. } in hyp.regions.iter().filter(|region| region.kind == Kind::NoMap) {
                hyp.keep(&mut host, *range, true)?;
            }
            let update_lost = on(Fault::SmmuSnapshotUpdateLost);
            if update_lost {
                hyp.snapshot(&mut host, &mut el2)?;
            }
            let frame = smmu_frame.filter(|_| !on(Fault::SmmuMmioNotDonated));
            let donated = config.options.donated_mmio().iter();
            for range in frame.into_iter().chain(donated.map(|&base| Range { base, size: PAGE_SIZE })) {
                hyp.take_mmio_at_boot(&mut host, &mut el2, range)?;
            }
            if !update_lost {
                hyp.snapshot(&mut host, &mut el2)?;
            }
            hyp.smmu.lock().iter_mut().for_each(Idmap::mark_ready);
            host.running = true;
        }
        Ok(hyp)
    }
}

impl<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy> Hyp<H, S, R> {
    /// `range` is the hypervisor's for good: annotated in the host's table if `annotate`, and referred to.
    fn keep(&self, host: &mut HostMmu, range: Range, annotate: bool) -> Result<(), BootError> {
        if annotate {
            let content = host.content_after(Change::Lost, Kind::Memory);
            host.set(&self.hw, range, content).map_err(|_| BootError::NoMem("the host's table"))?;
        }
        let state = PageState::default().with(State::NoPage, State::Owned).with_refcount(1);
        pages(range).for_each(|page| self.pages.set(&self.hw, page, state));
        Ok(())
    }

    fn take_mmio_at_boot(&self, host: &mut HostMmu, el2: &mut El2Mmu, range: Range) -> Result<(), BootError> {
        let refused = |error| BootError::Mmio(range.base, error);
        let (range, kind) = self.range(range.base.pfn().0, range.size / PAGE_SIZE).map_err(refused)?;
        if kind != Kind::Mmio {
            return Err(refused(Error::Inval));
        }
        self.take_mmio(host, el2, range).map_err(refused)
    }

    /// Completes the host's table in shared mode, and the SMMU's in shadow mode.
    fn snapshot(&self, host: &mut HostMmu, el2: &mut El2Mmu) -> Result<(), BootError> {
        if host.shared {
            self.populate(host).map_err(|_| BootError::NoMem("the host's table"))?;
        }
        match self.smmu.lock().as_mut() {
            Some(idmap) => idmap
                .snapshot(&self.hw, &mut el2.pool, &self.regions, &host.tree)
                .map_err(|_| BootError::NoMem("the SMMU's table")),
            None => Ok(()),
        }
    }

    /// Maps all that the host owns in its own table.
    fn populate(&self, host: &mut HostMmu) -> Result<(), Error> {
        for Region { range, kind } in self.regions.iter() {
            let (mut ia, end) = (range.base.0, range.end());
            while ia < end {
                let (entry, next) = piece(&self.hw, &host.tree, ia, end);
                if !entry.is_annotated() {
                    let content = Content::identity(host_attrs(*kind), host.largest(*kind));
                    host.set(&self.hw, Range { base: PhysAddr(ia), size: next - ia }, content)?;
                }
                ia = next;
            }
        }
        Ok(())
    }
}
