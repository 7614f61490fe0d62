//! Start-up: from the device tree's regions and a range for the page pool to a [`Hyp`] under which the host may run.
//!
//! ```text
//! pool_size()  how much memory the pool needs
//! Boot::new    page pools, page states, EL2's table   -> map_el2, alloc
//! Boot::stage2 the host's and the SMMU's empty tables -> vtcr_el2, vttbr_el2, smmu_stage2
//! Stage2::finish   annotates, donates, takes the snapshot -> Hyp
//! ```
//! All of it runs on one CPU, before the host and before the SMMU is enabled.

mod place;
mod size;
mod snapshot;
mod stage2;

pub use place::place;
pub use size::pool_size;
pub use stage2::Stage2;

use super::hold::NONE;
use super::{Devices, El2Mmu, HostMmu};
use crate::addr::{HypVa, PAGE_SIZE, PhysAddr};
use crate::error::Error;
use crate::faulty::El2Tlb;
use crate::hw::{Cpu, Memory};
use crate::options::{Options, SmmuMode};
use crate::page_pool::PagePool;
use crate::page_state::PageStates;
use crate::pgtable::attrs::El2Prot;
use crate::pgtable::geometry::PhysSize;
use crate::pgtable::{Attrs, Content, Env, Geometry, LAST_LEVEL, SplitRule, Tree};
use crate::regions::{Range, Regions};
use crate::smmu::Features;
use size::{frames, host_pages};

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
    /// The pool, with all tables and queues of the SMMU, has addresses that are too high for it.
    #[error("the page pool ends at {0:#x}, beyond the SMMU's addresses")]
    OutOfReach(u64),
    /// Stage 2 cannot translate addresses of this many bits.
    #[error("no stage-2 table for {0} address bits")]
    AddressBits(u32),
    /// An MMIO page cannot be donated.
    #[error("the MMIO page at {0} cannot be donated: {1}")]
    Mmio(PhysAddr, Error),
}

/// The first part of start-up: there are page pools and EL2's table.
#[derive(Debug)]
pub struct Boot<H> {
    hw: H,
    config: Config,
    pages: PageStates,
    host_pool: Range,
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
        let host_pool = Range { size: host_size, ..config.pool };
        let rest = config.pool.size - host_size;
        let mut pool = PagePool::new(Range { base: config.pool.base.add(host_size), size: rest });
        let (first, nr) = frames(&config.regions);
        let array = crate::faulty::page_states(&mut pool, &hw, PageStates::pages_for(nr));
        let pages = PageStates::new(array.ok_or(BootError::NoMem("page states"))?, first, nr);
        let tree = Tree::new(&hw, &mut pool, Geometry::el2(), SplitRule::BreakBeforeMake)
            .map_err(|_| BootError::NoMem("EL2's table"))?;
        let mut el2 = El2Mmu { tree, pool, linear_offset: config.linear_offset, held: NONE };
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
    /// [`BootError::NoMem`], [`BootError::AddressBits`], [`BootError::OutOfReach`].
    pub fn stage2(mut self, smmu: Option<&Features>) -> Result<Stage2<H>, BootError> {
        let options = &self.config.options;
        let mode = if smmu.is_some() { options.smmu } else { SmmuMode::Off };
        let cpu_bits = self.config.pa_size.bits();
        let smmu_bits = smmu.map_or(cpu_bits, |smmu| cpu_bits.min(smmu.input_bits).min(smmu.output_bits));
        let smmu_blocks = options.smmu_blocks && smmu.is_some_and(|smmu| smmu.bbml2);
        let shared = mode == SmmuMode::Shared;
        let blocks = !shared || smmu_blocks && self.config.bbm_level_2;
        let host_bits = if shared { smmu_bits } else { cpu_bits };
        if mode != SmmuMode::Off && smmu.is_some_and(|smmu| self.config.pool.end() >> smmu.output_bits != 0) {
            return Err(BootError::OutOfReach(self.config.pool.end()));
        }
        let geometry = |bits| Geometry::stage2(bits).ok_or(BootError::AddressBits(bits));

        let split = if shared && blocks { SplitRule::InPlace } else { SplitRule::BreakBeforeMake };
        let mut host_pool = PagePool::new(self.host_pool);
        let tree = Tree::new(&self.hw, &mut host_pool, geometry(host_bits)?, split)
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
        let host = HostMmu { tree, pool: host_pool, shared, largest_memory: largest(blocks), running: false };
        Ok(Stage2 { boot: self, host, idmap, smmu_largest: largest(smmu_blocks) })
    }
}
