//! One tree of translation tables: walking, setting a range, splitting blocks, giving pages back.
//!
//! A range is set by [`Tree::set`], which cannot run out of pages when [`Tree::tables_needed`] pages were free before.
//! Pages leave the tree only after what was cached of them is invalidated.

use super::{Attrs, Descriptor, ENTRIES, Geometry, Invalidate, LAST_LEVEL, Level, shift, span};
use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::error::Error;
use crate::faulty;
use crate::hw::Memory;
use crate::page_pool::PagePool;

/// How a valid block becomes a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitRule {
    /// Break-before-make (Arm ARM, D8.17.1).
    BreakBeforeMake,
    /// In place: all who walk the tree have FEAT_BBM level 2 or IDR3.BBML = 2.
    InPlace,
}

/// What a range is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A mapping: output address = input address + `offset` (wrapping).
    Map {
        /// Output minus input address.
        offset: u64,
        /// Attributes of each leaf.
        attrs: Attrs,
        /// Leaves of this level and below are allowed: 1 to 3.
        largest: Level,
    },
    /// An invalid descriptor: zero or an annotation.
    Invalid {
        /// What to write.
        value: Descriptor,
        /// Entries of this level and below may hold it for all they cover: 1 to 3.
        largest: Level,
    },
}

impl Content {
    /// A mapping to the same addresses.
    #[must_use]
    pub const fn identity(attrs: Attrs, largest: Level) -> Self {
        Self::Map { offset: 0, attrs, largest }
    }

    /// The entry of `level` for the input address `ia`, the first one that it covers.
    const fn entry(self, level: Level, ia: u64) -> Descriptor {
        match self {
            Self::Map { offset, attrs, .. } => Descriptor::leaf(level, ia.wrapping_add(offset), attrs),
            Self::Invalid { value, .. } => value,
        }
    }

    /// Whether an entry of `level` can hold it.
    const fn fits(self, level: Level) -> bool {
        match self {
            Self::Map { offset, largest, .. } => level >= largest && offset & (span(level) - 1) == 0,
            Self::Invalid { largest, .. } => level >= largest,
        }
    }
}

/// What a change of a tree works with.
pub struct Env<'a, M> {
    /// Where the tables are.
    pub mem: &'a M,
    /// Where pages for tables come from.
    pub pool: &'a mut PagePool,
    /// Who must hear of the change.
    pub tlb: &'a mut dyn Invalidate,
}

/// A tree of tables.
#[derive(Clone, Copy, Debug)]
pub struct Tree {
    root: PhysAddr,
    geometry: Geometry,
    split: SplitRule,
}

impl Tree {
    /// An empty tree, with a root from `pool`.
    ///
    /// # Errors
    /// [`Error::NoMem`].
    pub fn new<M: Memory>(
        mem: &M,
        pool: &mut PagePool,
        geometry: Geometry,
        split: SplitRule,
    ) -> Result<Self, Error> {
        let pages = geometry.root_pages();
        let root = pool.alloc_contiguous(mem, pages, pages * PAGE_SIZE).ok_or(Error::NoMem)?;
        Ok(Self { root, geometry, split })
    }

    /// Physical address of the root table, or of the first of the concatenated ones.
    #[must_use]
    pub const fn root(&self) -> PhysAddr {
        self.root
    }

    /// Its shape.
    #[must_use]
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Where the entry of `level` for `ia` is, in the table at `table`. Concatenated roots are one long table.
    fn slot(&self, table: PhysAddr, level: Level, ia: u64) -> PhysAddr {
        let index = ia >> shift(level);
        table.add(if level == self.geometry.start_level() { index } else { index % ENTRIES } * 8)
    }

    /// The entry at which a walk for `ia` (below the geometry's limit) ends, and its level.
    pub fn walk<M: Memory>(&self, mem: &M, ia: u64) -> (Descriptor, Level) {
        let (table, level) = self.table_around(mem, (ia, ia + 1));
        (Descriptor(mem.read(self.slot(table, level, ia))), level)
    }

    /// The lowest table that has all of the input addresses `ia..end`, and its level.
    fn table_around<M: Memory>(&self, mem: &M, (ia, end): (u64, u64)) -> (PhysAddr, Level) {
        let (mut table, mut level) = (self.root, self.geometry.start_level());
        let apart = (end - ia) | (ia ^ (end - 1));
        while apart >> shift(level) == 0 {
            let entry = Descriptor(mem.read(self.slot(table, level, ia)));
            if !entry.is_table(level) {
                break;
            }
            (table, level) = (entry.next_table(), level + 1);
        }
        (table, level)
    }

    /// How many pages [`Tree::set`] will take from the pool at most, for the same range and content.
    pub fn tables_needed<M: Memory>(&self, mem: &M, ia: u64, size: u64, content: Content) -> u64 {
        match self.table_around(mem, (ia, ia + size)) {
            (_, LAST_LEVEL) => 0,
            (table, level) => self.count(mem, Some(table), level, (ia, ia + size), content),
        }
    }

    fn count<M: Memory>(
        &self,
        mem: &M,
        table: Option<PhysAddr>,
        level: Level,
        (mut ia, end): (u64, u64),
        content: Content,
    ) -> u64 {
        let mut pages = 0;
        while ia < end {
            let next = end.min((ia | (span(level) - 1)) + 1);
            if next - ia != span(level) || !content.fits(level) {
                let entry = table.map(|table| Descriptor(mem.read(self.slot(table, level, ia))));
                let child = entry.filter(|entry| entry.is_table(level)).map(Descriptor::next_table);
                pages += u64::from(child.is_none());
                if level + 1 < LAST_LEVEL {
                    pages += self.count(mem, child, level + 1, (ia, next), content);
                }
            }
            ia = next;
        }
        pages
    }

    /// Makes the `size` bytes at `ia` (both multiples of a page, below the limit) hold `content`, with the largest
    /// entries that alignment and `content` allow. On return nothing stale is cached, and what is new is visible.
    ///
    /// # Errors
    /// [`Error::NoMem`] when the pool had fewer pages than [`Tree::tables_needed`] says.
    pub fn set<M: Memory>(
        &self,
        env: &mut Env<'_, M>,
        ia: u64,
        size: u64,
        content: Content,
    ) -> Result<(), Error> {
        let (table, level) = self.table_around(env.mem, (ia, ia + size));
        let stale = faulty::set_range(env, (ia, size), |env| {
            if level < LAST_LEVEL {
                return self.set_table(env, table, level, (ia, ia + size), content);
            }
            // Most changes are of pages in one table.
            let (mut page, mut stale) = (ia, false);
            while page < ia + size {
                let slot = table.add(page / PAGE_SIZE % ENTRIES * 8);
                stale |= Self::replace(env, slot, LAST_LEVEL, page, content.entry(LAST_LEVEL, page));
                page += PAGE_SIZE;
            }
            Ok(stale)
        })?;
        if stale {
            env.tlb.invalidate(ia, size, PAGE_SIZE);
        } else {
            env.tlb.publish();
        }
        Ok(())
    }

    /// True when entries that were valid, or blocks that were split in place, may still be cached.
    fn set_table<M: Memory>(
        &self,
        env: &mut Env<'_, M>,
        table: PhysAddr,
        level: Level,
        (mut ia, end): (u64, u64),
        content: Content,
    ) -> Result<bool, Error> {
        let mut stale = false;
        while ia < end {
            let base = ia & !(span(level) - 1);
            let next = end.min(base + span(level));
            let slot = self.slot(table, level, ia);
            let old = Descriptor(env.mem.read(slot));
            if next - ia == span(level) && content.fits(level) {
                stale |= Self::replace(env, slot, level, ia, content.entry(level, ia));
            } else if old.is_table(level) {
                stale |= self.set_table(env, old.next_table(), level + 1, (ia, next), content)?;
            } else if old != content.entry(level, base) {
                let child = self.split(env, slot, level, base, old)?;
                stale |= old.is_valid() && self.split == SplitRule::InPlace;
                stale |= self.set_table(env, child, level + 1, (ia, next), content)?;
            }
            ia = next;
        }
        Ok(stale)
    }

    /// Writes an entry. True when a valid one became invalid and may still be cached.
    ///
    /// Never inlined: a debugger has one place to stop at, whoever asked.
    #[inline(never)]
    fn replace<M: Memory>(
        env: &mut Env<'_, M>,
        slot: PhysAddr,
        level: Level,
        ia: u64,
        new: Descriptor,
    ) -> bool {
        let old = Descriptor(env.mem.read(slot));
        if old == new {
            return false;
        }
        if old.is_table(level) {
            env.mem.write(slot, faulty::locked(Descriptor::LOCKED, new).0);
            env.tlb.invalidate(ia, faulty::stale_size(span(level)), PAGE_SIZE);
            Self::free_tables(env, old.next_table(), level + 1);
        } else if old.is_valid() && new.is_valid() {
            env.mem.write(slot, Descriptor::LOCKED.0);
            env.tlb.invalidate(ia, span(level), span(level));
        }
        faulty::before_entry(env, slot, (old, new), (level, ia));
        env.mem.write_release(slot, new.0);
        old.is_valid() && !old.is_table(level) && !new.is_valid()
    }

    /// Gives back a table that is no longer part of the tree, and all below it.
    fn free_tables<M: Memory>(env: &mut Env<'_, M>, table: PhysAddr, level: Level) {
        if level < LAST_LEVEL {
            for index in 0..ENTRIES {
                let entry = Descriptor(env.mem.read(table.add(index * 8)));
                if entry.is_table(level) {
                    Self::free_tables(env, entry.next_table(), level + 1);
                }
            }
        }
        faulty::give_back(env, table);
    }

    /// Replaces `old`, which is no table, by a table that means the same. Returns that table.
    fn split<M: Memory>(
        &self,
        env: &mut Env<'_, M>,
        slot: PhysAddr,
        level: Level,
        base: u64,
        old: Descriptor,
    ) -> Result<PhysAddr, Error> {
        let table = env.pool.alloc(env.mem).ok_or(Error::NoMem)?;
        let new = Descriptor::table(table);
        faulty::before_fill(env.mem, slot, new, self.split);
        if old != Descriptor::ZERO {
            for index in 0..ENTRIES {
                let child = faulty::child(old.child(level, index), old, (level, index), self.split);
                env.mem.write(table.add(index * 8), child.0);
            }
        }
        if faulty::is_broken(old.is_valid() && self.split == SplitRule::BreakBeforeMake) {
            env.mem.write(slot, Descriptor::LOCKED.0);
            faulty::invalidate_block(env.tlb, base, span(level));
        }
        faulty::before_hook(env.mem, slot, new, self.split);
        env.mem.write_release(slot, new.0);
        Ok(table)
    }

    /// Makes all valid leaves in the `size` bytes at `ia` zero, without splitting one and without touching
    /// annotations, and gives tables that are empty then back to the pool.
    pub fn reclaim<M: Memory>(&self, env: &mut Env<'_, M>, ia: u64, size: u64) {
        let (start, range) = (self.geometry.start_level(), (ia, ia + size));
        if self.clear_leaves(env, self.root, start, range) {
            env.tlb.invalidate(ia, size, PAGE_SIZE);
        }
        faulty::prune(env, |env| self.prune(env, self.root, start, range));
    }

    fn clear_leaves<M: Memory>(
        &self,
        env: &mut Env<'_, M>,
        table: PhysAddr,
        level: Level,
        (mut ia, end): (u64, u64),
    ) -> bool {
        let mut stale = false;
        while ia < end {
            let next = end.min((ia | (span(level) - 1)) + 1);
            let slot = self.slot(table, level, ia);
            let entry = Descriptor(env.mem.read(slot));
            if entry.is_table(level) {
                stale |= self.clear_leaves(env, entry.next_table(), level + 1, (ia, next));
            } else if next - ia == span(level) && faulty::is_cleared(entry.is_valid(), entry) {
                env.mem.write(slot, 0);
                stale = true;
            }
            ia = next;
        }
        stale
    }

    fn prune<M: Memory>(
        &self,
        env: &mut Env<'_, M>,
        table: PhysAddr,
        level: Level,
        (mut ia, end): (u64, u64),
    ) {
        while ia < end {
            let base = ia & !(span(level) - 1);
            let next = end.min(base + span(level));
            let slot = self.slot(table, level, ia);
            let entry = Descriptor(env.mem.read(slot));
            if entry.is_table(level) {
                let child = entry.next_table();
                self.prune(env, child, level + 1, (ia, next));
                if (0..ENTRIES).all(|index| env.mem.read(child.add(index * 8)) == 0) {
                    env.mem.write(slot, 0);
                    env.tlb.invalidate(base, span(level), span(level));
                    env.pool.free(env.mem, child);
                }
            }
            ia = next;
        }
    }
}
