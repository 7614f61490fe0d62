//! What changed between two snapshots, in canonical form.
//!
//! Removed and added runs are each maximal on their own: when a 1 GiB block is split for one page, one line says that
//! the block went and a few say what stands there now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parallax_addr::{AddressMap, HypVa, Ipa, PhysAddr, Point, Span, VmHandle};

use crate::canonical::{self, BlockSize, Canonical, Line, Sign};
use crate::lane::{self, Lane, View};
use crate::leaf::{S1Entry, S2Entry};
use crate::page::PageState;
use crate::registers::Register;
use crate::run::{self, Run};
use crate::runs::Runs;
use crate::smmu_state::Stream;
use crate::snapshot::{Layout, Snapshot};

/// Changes of one map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes<A, T> {
    /// What was there, where it is there no more.
    pub removed: Vec<Run<A, T>>,
    /// What is there, where it was not.
    pub added: Vec<Run<A, T>>,
}

impl<A, T> Default for Changes<A, T> {
    fn default() -> Self {
        Self { removed: Vec::new(), added: Vec::new() }
    }
}

impl<A: Point, T: Clone + PartialEq> Changes<A, T> {
    fn between(before: &Runs<A, T>, after: &Runs<A, T>) -> Self {
        let mut changes = Self::default();
        if before.is_shared_with(after) {
            return changes;
        }
        let (before, after) = run::differing_part(before, after);
        for (span, old, new) in run::overlay(before, after, Span::between(A::at(0), A::at(u64::MAX))) {
            if old != new {
                if let Some(old) = old {
                    run::push(&mut changes.removed, Run::new(span, old.clone()));
                }
                if let Some(new) = new {
                    run::push(&mut changes.added, Run::new(span, new.clone()));
                }
            }
        }
        changes
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }

    /// All changes in order of address; at one address what went comes before what came.
    fn in_order(&self) -> impl Iterator<Item = (Sign, &Run<A, T>)> {
        let mut all: Vec<_> = self.removed.iter().map(|run| (Sign::Removed, run)).collect();
        all.extend(self.added.iter().map(|run| (Sign::Added, run)));
        all.sort_by_key(|(sign, run)| (run.base, *sign == Sign::Added));
        all.into_iter()
    }
}

/// Changes of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    layout: Layout,
    /// The host's stage 2, by IPA.
    pub cpu: Changes<Ipa, S2Entry>,
    /// The SMMU's stage-2 tables, by IPA.
    pub smmu: Vec<Changes<Ipa, S2Entry>>,
    /// STEs, by StreamID.
    pub ste: Changes<u64, Stream>,
    /// Register lines that are gone.
    pub regs_removed: Vec<Register>,
    /// Register lines that are new.
    pub regs_added: Vec<Register>,
    /// EL2's stage 1, by virtual address.
    pub el2: Changes<HypVa, S1Entry>,
    /// Page states, by physical address.
    pub pages: Changes<PhysAddr, PageState>,
    /// The stage 2 of virtual machines, by IPA.
    pub guests: BTreeMap<VmHandle, Changes<Ipa, S2Entry>>,
}

impl Delta {
    /// What changed from `before` to `after`, block sizes included.
    #[must_use]
    pub fn between(before: &Snapshot, after: &Snapshot) -> Self {
        Self::between_as(before, after, BlockSize::Shown)
    }

    /// What changed from `before` to `after`.
    #[must_use]
    pub fn between_as(before: &Snapshot, after: &Snapshot, block_size: BlockSize) -> Self {
        Self::of(&Canonical::of(before, block_size), &Canonical::of(after, block_size))
    }

    /// What changed between two canonical forms.
    #[must_use]
    pub fn of(before: &Canonical, after: &Canonical) -> Self {
        let tables = before.smmu.len().max(after.smmu.len());
        let table = |form: &Canonical, n: usize| form.smmu.get(n).cloned().unwrap_or_default();
        let same = Arc::ptr_eq(&before.regs, &after.regs);
        let not_in = |lines: &[Register], other: &[Register]| {
            let lines = if same { &[] } else { lines };
            lines.iter().filter(|line| !other.contains(line)).cloned().collect::<Vec<_>>()
        };
        let guests: BTreeSet<VmHandle> = before.guests.keys().chain(after.guests.keys()).copied().collect();
        let guest = |handle| {
            let of = |form: &Canonical| form.guests.get(&handle).cloned().unwrap_or_default();
            Changes::between(&of(before), &of(after))
        };
        Self {
            layout: after.layout,
            cpu: Changes::between(&before.cpu, &after.cpu),
            smmu: (0..tables).map(|n| Changes::between(&table(before, n), &table(after, n))).collect(),
            ste: Changes::between(&before.ste, &after.ste),
            regs_removed: not_in(&before.regs, &after.regs),
            regs_added: not_in(&after.regs, &before.regs),
            el2: Changes::between(&before.el2, &after.el2),
            pages: Changes::between(&before.pages, &after.pages),
            guests: guests.into_iter().map(|handle| (handle, guest(handle))).collect(),
        }
    }

    /// All of `form`, as what came where nothing was.
    #[must_use]
    pub fn whole(form: &Canonical) -> Self {
        Self::of(&Canonical::empty(form.layout), form)
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cpu.is_empty()
            && self.smmu.iter().all(Changes::is_empty)
            && self.ste.is_empty()
            && self.regs_removed.is_empty()
            && self.regs_added.is_empty()
            && self.el2.is_empty()
            && self.pages.is_empty()
            && self.guests.values().all(Changes::is_empty)
    }

    /// The changes in `view` as lines: lanes in a fixed order, each in order of address.
    #[must_use]
    pub fn lines(&self, symbols: &AddressMap, view: View) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut add = |lane, table, subject, sign, value| {
            lines.push(Line { lane, table, subject, sign, value });
        };
        if view.shows(Lane::Cpu) {
            for (sign, run) in self.cpu.in_order() {
                let value = lane::s2_entry(&run.value, run.base, Lane::Cpu, symbols);
                add(Lane::Cpu, 0, symbols.span(run.span()), sign, value);
            }
        }
        if view.shows(Lane::Smmu) {
            for (table, changes) in self.smmu.iter().enumerate() {
                for (sign, run) in changes.in_order() {
                    let value = lane::s2_entry(&run.value, run.base, Lane::Smmu, symbols);
                    add(Lane::Smmu, table, symbols.span(run.span()), sign, value);
                }
            }
        }
        if view.shows(Lane::Ste) {
            for (sign, run) in self.ste.in_order() {
                add(Lane::Ste, 0, canonical::stream_ids(run.span()), sign, lane::stream(&run.value));
            }
        }
        if view.shows(Lane::Regs) {
            for value in &self.regs_removed {
                add(Lane::Regs, 0, String::new(), Sign::Removed, value.line(symbols));
            }
            for value in &self.regs_added {
                add(Lane::Regs, 0, String::new(), Sign::Added, value.line(symbols));
            }
        }
        if view.shows(Lane::El2) {
            for (sign, run) in self.el2.in_order() {
                let (subject, value) = canonical::el2_entry(&run.value, run.span(), &self.layout, symbols);
                add(Lane::El2, 0, subject, sign, value);
            }
        }
        if view.shows(Lane::Page) {
            for (sign, run) in self.pages.in_order() {
                add(Lane::Page, 0, symbols.span(run.span()), sign, lane::page_state(&run.value));
            }
        }
        if view.shows(Lane::Guest) {
            for (handle, changes) in &self.guests {
                for (sign, run) in changes.in_order() {
                    let value = lane::s2_entry(&run.value, run.base, Lane::Guest, symbols);
                    let subject = format!("{handle} {:#x}..{:#x}", run.base, run.end());
                    add(Lane::Guest, 0, subject, sign, value);
                }
            }
        }
        lines
    }
}

/// The full state of `snapshot` as lines.
#[must_use]
pub fn state_lines(
    snapshot: &Snapshot,
    symbols: &AddressMap,
    view: View,
    block_size: BlockSize,
) -> Vec<Line> {
    let state = Delta::whole(&Canonical::of(snapshot, block_size));
    state.lines(symbols, view).into_iter().map(|line| Line { sign: Sign::State, ..line }).collect()
}

#[cfg(test)]
#[path = "delta_tests.rs"]
mod tests;
