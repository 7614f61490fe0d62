//! The host's stage-2 table.

use super::Hyp;
use crate::error::Error;
use crate::faulty::{self, HostTlb};
use crate::hw::{Cpu, Memory};
use crate::idmap::{Change, host_attrs};
use crate::page_pool::PagePool;
use crate::pgtable::{Content, Descriptor, Env, LAST_LEVEL, Level, Tree, is_ample};
use crate::regions::{Kind, Range, Region};
use crate::smmu::SmmuTlb;
use spin::RelaxStrategy;

/// The host's stage-2 table.
#[derive(Debug)]
pub(crate) struct HostMmu {
    pub(crate) tree: Tree,
    pub(crate) pool: PagePool,
    /// The SMMU walks this table too: nothing that the host owns may be unmapped, and no table may be taken away.
    pub(crate) shared: bool,
    /// The lowest level (1 to 3) at which memory may be mapped.
    pub(crate) largest_memory: Level,
    /// The host runs: MMIO can no longer be donated.
    pub(crate) running: bool,
}

impl HostMmu {
    /// What the table holds for a range after `change`.
    pub(crate) fn content_after(&self, change: Change, kind: Kind) -> Content {
        let largest = if self.shared { LAST_LEVEL } else { 1 };
        match change {
            Change::Lost => Content::Invalid { value: Descriptor::OWNED_BY_HYP, largest },
            Change::Gained => Content::identity(host_attrs(kind), largest.max(self.largest(kind))),
        }
    }

    /// The lowest level at which `kind` may be mapped.
    pub(super) fn largest(&self, kind: Kind) -> Level {
        if kind.is_memory() { self.largest_memory } else { 1 }
    }

    pub(crate) fn set<H: Memory + Cpu>(
        &mut self,
        hw: &H,
        range: Range,
        content: Content,
    ) -> Result<(), Error> {
        let mut env = Env { mem: hw, pool: &mut self.pool, tlb: &mut HostTlb(hw) };
        self.tree.set(&mut env, range.base.0, range.size, content)
    }
}

impl<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy> Hyp<H, S, R> {
    /// Makes sure that the host's table can take `content`; gives up the host's MMIO mappings when it must.
    pub(super) fn reserve_host(
        &self,
        host: &mut HostMmu,
        range: Range,
        content: Content,
    ) -> Result<(), Error> {
        let needed = |host: &HostMmu| host.tree.tables_needed(&self.hw, range.base.0, range.size, content);
        if !is_ample(host.pool.free_pages(), range.size) && needed(host) > host.pool.free_pages() {
            self.recycle_mmio(host);
            if needed(host) > host.pool.free_pages() {
                return Err(Error::NoMem);
            }
        }
        Ok(())
    }

    /// Unmaps the host's MMIO, annotated entries excepted, to get table pages back. The host still owns it, so the
    /// SMMU is not told; in shared mode, where devices use these entries, nothing is done.
    fn recycle_mmio(&self, host: &mut HostMmu) {
        if faulty::is_walked_by_devices(host.shared) {
            return;
        }
        for Region { range, .. } in self.regions.iter().filter(|region| region.kind == Kind::Mmio) {
            let mut env = Env { mem: &self.hw, pool: &mut host.pool, tlb: &mut HostTlb(&self.hw) };
            host.tree.reclaim(&mut env, range.base.0, range.size);
            faulty::recycled(self, *range);
        }
    }
}
