//! Entries that are written, tables that are hooked in, freed and invalidated in the wrong order.

use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::error::Error;
use crate::fault::{Fault, on};
use crate::hw::Memory;
use crate::pgtable::{Descriptor, Env, Invalidate, Level, SplitRule, span};

/// Changes the entries of the `size` bytes at `ia`: `set` does, and says whether stale ones must be invalidated.
#[inline(always)]
pub(crate) fn set_range<M>(
    env: &mut Env<'_, M>,
    (ia, size): (u64, u64),
    set: impl FnOnce(&mut Env<'_, M>) -> Result<bool, Error>,
) -> Result<bool, Error> {
    if on(Fault::TlbiBeforeClear) {
        env.tlb.invalidate(ia, size, PAGE_SIZE);
        return set(env).map(|_| false);
    }
    set(env)
}

/// What an entry that points to a table holds until what is below it is gone. `new` comes after that.
#[inline(always)]
pub(crate) fn locked(right: Descriptor, new: Descriptor) -> Descriptor {
    if on(Fault::TableReplacedInPlace) { new } else { right }
}

/// How much is invalidated before the tables below an entry that translates `size` bytes are freed.
#[inline(always)]
pub(crate) fn stale_size(size: u64) -> u64 {
    if on(Fault::TableFreedUnclean) { 0 } else { size }
}

/// Comes before `new` is written in place of `old`, an entry of `level` for `ia`.
#[inline(always)]
pub(crate) fn before_entry<M: Memory>(
    env: &mut Env<'_, M>,
    slot: PhysAddr,
    (old, new): (Descriptor, Descriptor),
    (level, ia): (Level, u64),
) {
    if old.is_table(level) && on(Fault::TableFreedUnclean) {
        env.tlb.invalidate(ia, span(level), PAGE_SIZE);
    }
    if new.is_valid() && on(Fault::LeafInTwoSteps) {
        env.mem.write_release(slot, new.0 ^ span(level));
    }
}

/// Comes before the table for a split block is filled.
#[inline(always)]
pub(crate) fn before_fill<M: Memory>(mem: &M, slot: PhysAddr, table: Descriptor, rule: SplitRule) {
    if rule == SplitRule::InPlace && on(Fault::SmmuSplitFilledLate) {
        mem.write_release(slot, table.0);
    }
}

/// Comes before that table is hooked in.
#[inline(always)]
pub(crate) fn before_hook<M: Memory>(mem: &M, slot: PhysAddr, table: Descriptor, rule: SplitRule) {
    if rule == SplitRule::InPlace && on(Fault::SmmuSplitUnordered) {
        mem.write(slot, table.0);
    }
}

/// Entry `index` of the table that replaces `old`.
#[inline(always)]
pub(crate) fn child(
    right: Descriptor,
    old: Descriptor,
    (level, index): (Level, u64),
    rule: SplitRule,
) -> Descriptor {
    match rule {
        SplitRule::InPlace if old.is_valid() && on(Fault::SmmuSplitDropsNeighbours) => Descriptor::ZERO,
        SplitRule::BreakBeforeMake if old.is_valid() && on(Fault::HostSplitDrifts) => {
            old.child(level, index + 1)
        }
        _ => right,
    }
}

/// Whether a block is broken before a table is made in its place.
#[inline(always)]
pub(crate) fn is_broken(right: bool) -> bool {
    right && !on(Fault::HostSplitNotBroken)
}

/// Invalidates what is cached of a broken block.
#[inline(always)]
pub(crate) fn invalidate_block(tlb: &mut dyn Invalidate, ia: u64, size: u64) {
    if !on(Fault::HostSplitNotInvalidated) {
        tlb.invalidate(ia, size, size);
    }
}

/// Whether an entry goes when leaves are cleared. `right` is true for those that are valid.
#[inline(always)]
pub(crate) fn is_cleared(right: bool, entry: Descriptor) -> bool {
    right || entry.is_annotated() && on(Fault::HostRecycleDropsAnnotation)
}

/// TLB maintenance that does nothing.
struct Silent;

impl Invalidate for Silent {
    fn invalidate(&mut self, _ia: u64, _size: u64, _granule: u64) {}
    fn publish(&mut self) {}
}

/// Gives empty tables back: `prune` does.
#[inline(always)]
pub(crate) fn prune<M>(env: &mut Env<'_, M>, prune: impl FnOnce(&mut Env<'_, M>)) {
    if on(Fault::RecycleNotInvalidated) {
        return prune(&mut Env { mem: env.mem, pool: env.pool, tlb: &mut Silent });
    }
    prune(env);
}

/// Gives `table`, which is in no tree any more, back to its pool.
#[inline(always)]
pub(crate) fn give_back<M: Memory>(env: &mut Env<'_, M>, table: PhysAddr) {
    let times = if on(Fault::TableLost) { 0 } else { 1 + u32::from(on(Fault::TableFreedTwice)) };
    (0..times).for_each(|_| env.pool.free(env.mem, table));
}
