//! EL2's own stage 1.

use super::hold::Held;
use crate::error::Error;
use crate::faulty::El2Tlb;
use crate::hw::{Cpu, Memory};
use crate::page_pool::PagePool;
use crate::pgtable::attrs::El2Prot;
use crate::pgtable::{Attrs, Content, Descriptor, Env, LAST_LEVEL, Tree};
use crate::regions::Range;

/// EL2's stage-1 table, and the pool that it shares with the SMMU's.
#[derive(Debug)]
pub(crate) struct El2Mmu {
    pub(super) tree: Tree,
    pub(crate) pool: PagePool,
    pub(super) linear_offset: u64,
    pub(crate) held: Held,
}

/// What the table holds where nothing is mapped.
const UNMAPPED: Content = Content::Invalid { value: Descriptor::ZERO, largest: LAST_LEVEL };

impl El2Mmu {
    /// Maps `range` at its linear address, or unmaps it.
    pub(crate) fn set_linear<H: Memory + Cpu>(
        &mut self,
        hw: &H,
        range: Range,
        prot: Option<El2Prot>,
    ) -> Result<(), Error> {
        let offset = self.linear_offset.wrapping_neg();
        let map = |prot| Content::Map { offset, attrs: Attrs::el2(prot), largest: LAST_LEVEL };
        let mut env = Env { mem: hw, pool: &mut self.pool, tlb: &mut El2Tlb(hw) };
        self.tree.set(&mut env, range.base.0 + self.linear_offset, range.size, prot.map_or(UNMAPPED, map))
    }

    /// How many pages [`El2Mmu::set_linear`] may take to map or unmap `range`.
    pub(super) fn tables_needed<M: Memory>(&self, mem: &M, range: Range) -> u64 {
        self.tree.tables_needed(mem, range.base.0 + self.linear_offset, range.size, UNMAPPED)
    }
}
