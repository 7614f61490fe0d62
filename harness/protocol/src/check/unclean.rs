//! Entries whose old value somebody may still hold, and how far their invalidation has come.

use std::collections::BTreeMap;

use super::attempt::Attempt;
use super::finding::Site;
use crate::map::Map;
use crate::tlbi::TlbiOp;

/// How far an invalidation on the CPUs has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CpuStep {
    /// Nothing has reached it.
    Stored,
    /// IPAS2E1* was issued; `local` when only for this CPU.
    Stage2Sent { local: bool },
    /// IPAS2E1* is complete; entries combined with stage 1 may be left.
    Stage2Done,
    /// Everything was issued.
    Sent { local: bool },
}

/// How far an invalidation in the SMMU has come. Numbers count commands from the first ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SmmuStep {
    Stored,
    /// A TLBI command was given. `done`: it covers combined entries as well.
    Sent {
        done: bool,
    },
    /// A CMD_SYNC was given after it.
    Synced {
        sync: u64,
        done: bool,
    },
    /// Stage 2 is gone; entries combined with a stage 1 may be left.
    Stage2Done,
}

/// An unclean entry.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) pa: u64,
    pub(super) tree: u32,
    pub(super) level: i8,
    pub(super) ia: u64,
    /// The old value was a leaf, not a table.
    pub(super) leaf: bool,
    pub(super) what: &'static str,
    pub(super) by: Site,
    /// When: see `Checker::time`.
    pub(super) time: u64,
    pub(super) cpu: Option<CpuStep>,
    pub(super) smmu: Option<SmmuStep>,
    /// The TLBI that reached it last, with its operand.
    pub(super) issued: Option<(TlbiOp, u64)>,
    /// The one that a DSB has completed once, where that must happen twice.
    pub(super) once: Option<(TlbiOp, u64)>,
    /// The subtree that waits for this entry.
    pub(super) group: Option<u32>,
    pub(super) reported: bool,
    pub(super) attempt: Option<Attempt>,
}

/// All of them, found by entry and by address.
#[derive(Debug, Default)]
pub(super) struct Records {
    slots: Vec<Option<Record>>,
    free: Vec<u32>,
    by_entry: Map<u64, u32>,
    by_address: BTreeMap<(u32, i8, u64, u64), u32>,
}

impl Records {
    pub(super) fn insert(&mut self, record: Record) {
        let key = (record.tree, record.level, record.ia, record.pa);
        let pa = record.pa;
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                self.slots.push(None);
                (self.slots.len() - 1) as u32
            }
        };
        self.slots[id as usize] = Some(record);
        self.by_entry.insert(pa, id);
        self.by_address.insert(key, id);
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<Record> {
        let record = self.slots.get_mut(id as usize)?.take()?;
        self.free.push(id);
        self.by_entry.remove(&record.pa);
        self.by_address.remove(&(record.tree, record.level, record.ia, record.pa));
        Some(record)
    }

    pub(super) fn at(&self, pa: u64) -> Option<u32> {
        if self.by_entry.is_empty() { None } else { self.by_entry.get(&pa).copied() }
    }

    pub(super) fn get(&self, id: u32) -> Option<&Record> {
        self.slots.get(id as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Record> {
        self.slots.get_mut(id as usize)?.as_mut()
    }

    /// All entries of a tree.
    pub(super) fn of_tree(&self, tree: u32, into: &mut Vec<u32>) {
        into.extend(
            self.by_address
                .range((tree, i8::MIN, 0, 0)..=(tree, i8::MAX, u64::MAX, u64::MAX))
                .map(|(_, id)| *id),
        );
    }

    /// Entries of a tree that translate anything of a range.
    pub(super) fn in_range(&self, tree: u32, address: u64, size: u64, into: &mut Vec<u32>) {
        let end = address.saturating_add(size);
        for level in -1..=3 {
            let first = address & !(super::change::span(level) - 1);
            into.extend(
                self.by_address.range((tree, level, first, 0)..(tree, level, end, 0)).map(|(_, id)| *id),
            );
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.by_entry.is_empty()
    }

    /// All entries, in order of tree and address.
    pub(super) fn all(&self) -> impl Iterator<Item = u32> + '_ {
        self.by_address.values().copied()
    }
}
