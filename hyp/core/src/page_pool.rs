//! A page allocator over one physical range: pages are taken in ascending order, freed ones are taken first.
//!
//! The list of free pages lives in the pages themselves (first u64 = address of the next one), so the pool needs no
//! memory of its own. Whoever frees a page has invalidated everything that could still translate through it.

use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::hw::Memory;
use crate::regions::Range;
use parallax_abi::pool::Pool;

/// The allocator. Every page it hands out is zero.
#[derive(Debug)]
#[repr(transparent)]
pub struct PagePool(Pool);

impl PagePool {
    /// A pool over `range` (page aligned, not at address 0).
    #[must_use]
    pub const fn new(range: Range) -> Self {
        let Range { base, size } = range;
        Self(Pool { base: base.0, size, next: base.0, freed: 0, free: size / PAGE_SIZE })
    }

    /// The pages it manages.
    #[must_use]
    pub const fn range(&self) -> Range {
        Range { base: PhysAddr(self.0.base), size: self.0.size }
    }

    /// Its account, as the harness reads it.
    #[must_use]
    pub const fn account(&self) -> Pool {
        self.0
    }

    /// How many pages are free.
    #[must_use]
    pub const fn free_pages(&self) -> u64 {
        self.0.free
    }

    /// Gives up pages that were never handed out, until no more than `pages` are free.
    pub fn limit(&mut self, pages: u64) {
        let fresh = (self.range().end() - self.0.next) / PAGE_SIZE;
        let given_up = self.0.free.saturating_sub(pages).min(fresh);
        self.0.size -= given_up * PAGE_SIZE;
        self.0.free -= given_up;
    }

    /// Takes a zeroed page; `None` when there is none.
    pub fn alloc<M: Memory>(&mut self, mem: &M) -> Option<PhysAddr> {
        if self.0.freed == 0 {
            return crate::faulty::table_page(self, mem);
        }
        let page = PhysAddr(self.0.freed);
        self.0.freed = mem.read(page);
        mem.write(page, 0);
        self.0.free -= 1;
        Some(page)
    }

    /// Takes `pages` zeroed pages in a row at a multiple of `align` bytes (a power of two, at least a page), from
    /// those that were never handed out. Meant for start-up: what is skipped for alignment becomes single pages.
    pub fn alloc_contiguous<M: Memory>(&mut self, mem: &M, pages: u64, align: u64) -> Option<PhysAddr> {
        let base = self.0.next.checked_next_multiple_of(align)?;
        let end = base.checked_add(pages.checked_mul(PAGE_SIZE)?)?;
        if end > self.range().end() {
            return None;
        }
        let skipped = self.0.next;
        self.0.next = end;
        self.0.free -= (end - skipped) / PAGE_SIZE;
        for page in (skipped..base).step_by(PAGE_SIZE as usize) {
            self.free(mem, PhysAddr(page));
        }
        for page in (base..end).step_by(PAGE_SIZE as usize) {
            mem.zero_page(PhysAddr(page));
        }
        Some(PhysAddr(base))
    }

    /// Gives back a page that [`PagePool::alloc`] returned.
    pub fn free<M: Memory>(&mut self, mem: &M, page: PhysAddr) {
        mem.zero_page(page);
        mem.write(page, self.0.freed);
        self.0.freed = page.0;
        self.0.free += 1;
    }
}
