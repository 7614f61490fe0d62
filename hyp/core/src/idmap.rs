//! The SMMU's view of the host: one identity table for all of the host's streams, kept in step with the host's own
//! stage-2 table.
//!
//! Nobody handles a device's faults, so the table is complete from the start: [`Idmap::snapshot`] maps whatever the
//! host owns, mapped by its CPUs or not. After that each change of what the host owns goes through
//! [`Idmap::host_changed`], in the critical section that changes the host's table. In shared mode the SMMU walks the
//! host's table itself, and only invalidation is left to do here.

use crate::addr::{Ipa, PhysAddr};
use crate::error::Error;
use crate::faulty;
use crate::hw::{Cpu, Memory};
use crate::page_pool::PagePool;
use crate::pgtable::{Attrs, Content, Descriptor, Env, Invalidate, Level, Tree, span};
use crate::regions::{Kind, Range, Regions};
use crate::smmu::SmmuTlb;

/// What memory type the SMMU's table gives to MMIO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MmioPolicy {
    /// Device where the host's mapping has the permissions of MMIO.
    Prot,
    /// Device where the address is not memory.
    #[default]
    Region,
    /// Normal write-back everywhere, as in the CPU's table.
    Cacheable,
}

/// What became of a range of host pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The host owned it, and the hypervisor has it now.
    Lost,
    /// The hypervisor owned it, and the host has it now.
    Gained,
}

/// The SMMU's table.
#[derive(Debug)]
pub struct Idmap {
    /// `None` in shared mode.
    pub(crate) tree: Option<Tree>,
    policy: MmioPolicy,
    largest_memory: Level,
    ready: bool,
}

/// The SMMU's TLB, as [`Tree`] wants it.
pub(crate) struct IdmapTlb<'a, H, S> {
    pub(crate) hw: &'a H,
    pub(crate) driver: &'a mut S,
}

impl<H: Cpu, S: SmmuTlb> Invalidate for IdmapTlb<'_, H, S> {
    fn invalidate(&mut self, ia: u64, size: u64, _granule: u64) {
        self.hw.dsb_ishst();
        self.driver.tlbi_s2_ipa(Ipa(ia), size);
        self.driver.sync();
    }

    fn publish(&mut self) {
        self.hw.dsb_ishst();
    }
}

/// The leaf or invalid entry of `host` at `ia`, and where what it covers ends, at most at `end`.
pub(crate) fn piece<M: Memory>(mem: &M, host: &Tree, ia: u64, end: u64) -> (Descriptor, u64) {
    let (entry, level) = host.walk(mem, ia);
    (entry, end.min((ia | (span(level) - 1)) + 1))
}

impl Idmap {
    /// An idmap over `tree`, still empty, or `None` when the SMMU shares the host's table. `largest_memory` is the
    /// lowest level (1 to 3) at which memory may be mapped.
    #[must_use]
    pub const fn new(tree: Option<Tree>, policy: MmioPolicy, largest_memory: Level) -> Self {
        Self { tree, policy, largest_memory, ready: false }
    }

    /// How memory or MMIO with the CPU attributes `host` is mapped for devices.
    fn content(&self, kind: Kind, host: Attrs) -> Content {
        let device = match self.policy {
            MmioPolicy::Prot => host.is_execute_never(),
            MmioPolicy::Region => !kind.is_memory(),
            MmioPolicy::Cacheable => false,
        };
        let attrs = if device { Attrs::smmu_device() } else { Attrs::smmu_normal() };
        let largest = if kind.is_memory() { self.largest_memory } else { 1 };
        Content::identity(attrs.limited_to(host), largest)
    }

    /// From here on [`Idmap::host_changed`] follows each change. It ignores those that come before, because the
    /// snapshot finds them in the host's table: snapshot and this call belong into one critical section.
    pub const fn mark_ready(&mut self) {
        self.ready = true;
    }

    /// Maps all that the host owns: valid entries of its table, and zero ones, which its CPUs have not touched yet.
    ///
    /// # Errors
    /// [`Error::NoMem`].
    pub fn snapshot<H: Memory + Cpu, S: SmmuTlb>(
        &self,
        hw: &H,
        driver: &mut S,
        pool: &mut PagePool,
        regions: &Regions,
        host: &Tree,
    ) -> Result<(), Error> {
        let Some(tree) = &self.tree else { return Ok(()) };
        for region in regions.iter() {
            let (mut ia, end) = (region.range.base.0, region.range.end().min(tree.geometry().limit()));
            while ia < end {
                let (entry, next) = piece(hw, host, ia, end);
                let entry = faulty::snapshot_entry(entry);
                let attrs = if entry.is_valid() { entry.attrs() } else { host_attrs(region.kind) };
                let content = faulty::snapshot_content(self.content(region.kind, attrs), region.kind);
                if !entry.is_annotated() {
                    let range = Range { base: PhysAddr(ia), size: next - ia };
                    Self::set(tree, hw, driver, pool, range, content)?;
                }
                ia = next;
            }
        }
        Ok(())
    }

    pub(crate) fn set<H: Memory + Cpu, S: SmmuTlb>(
        tree: &Tree,
        hw: &H,
        driver: &mut S,
        pool: &mut PagePool,
        range: Range,
        content: Content,
    ) -> Result<(), Error> {
        let mut tlb = faulty::IdmapTlb { hw, driver };
        tree.set(&mut Env { mem: hw, pool, tlb: &mut tlb }, range.base.0, range.size, content)
    }

    /// What the table holds for a range after `change`.
    pub(crate) fn content_after(&self, change: Change, kind: Kind) -> Content {
        match change {
            Change::Lost => Content::Invalid { value: Descriptor::ZERO, largest: self.largest_memory },
            Change::Gained => self.content(kind, host_attrs(kind)),
        }
    }

    /// The table of its own that has to follow what becomes of `range`, and the part of it that an SMMU with smaller addresses
    /// than the CPUs' has.
    pub(crate) fn follows(&self, range: Range) -> Option<(&Tree, Range)> {
        let tree = self.tree.as_ref().filter(|_| self.ready)?;
        let size = tree.geometry().limit().saturating_sub(range.base.0).min(range.size);
        (size != 0).then_some((tree, Range { size, ..range }))
    }

    /// How many pages of the pool [`Idmap::host_changed`] may take.
    pub fn tables_needed<M: Memory>(&self, mem: &M, range: Range, kind: Kind, change: Change) -> u64 {
        let content = self.content_after(change, kind);
        self.follows(range)
            .map_or(0, |(tree, range)| tree.tables_needed(mem, range.base.0, range.size, content))
    }

    /// The one hook: the host lost or gained `range`, which lies in one region of `kind`, and its own table says so
    /// already. On return no device reaches what was lost.
    ///
    /// # Errors
    /// [`Error::NoMem`] when the pool had fewer pages than [`Idmap::tables_needed`] says.
    pub fn host_changed<H: Memory + Cpu, S: SmmuTlb>(
        &self,
        hw: &H,
        driver: &mut S,
        pool: &mut PagePool,
        (range, kind): (Range, Kind),
        change: Change,
    ) -> Result<(), Error> {
        if let Some((tree, range)) = self.follows(range) {
            return Self::set(tree, hw, driver, pool, range, self.content_after(change, kind));
        }
        if self.ready && self.tree.is_none() && change == Change::Lost {
            driver.tlbi_s2_ipa(range.base.identity(), range.size);
            driver.sync();
        }
        Ok(())
    }
}

/// The attributes with which the host's CPUs map `kind`.
pub(crate) fn host_attrs(kind: Kind) -> Attrs {
    if kind.is_memory() { Attrs::host_memory() } else { Attrs::host_mmio() }
}
