//! What EL2 has just mapped for itself it may use only when that is visible to its own walks: DSB, then ISB (DDI 0487,
//! D8.17, B2.3.12 and D7.2.1, "context synchronization event").

use parallax_addr::{PAGE_SIZE, PhysAddr};
use parallax_vmsa::desc::ADDRESS;

use super::change::{Entry, entry, span};
use super::checker::Checker;
use super::finding::{Regime, Site, Subject};
use super::memory::Place;
use super::rule::Rule;
use crate::map::Map;

/// Pages that a CPU has mapped for EL2, by their physical address, with the store that did.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    /// No DSB has come since.
    stored: Map<u64, Site>,
    /// A DSB has, but no ISB behind it.
    visible: Map<u64, Site>,
}

impl Fresh {
    /// A DSB that waits for stores.
    pub(super) fn dsb(&mut self) {
        self.visible.extend(self.stored.drain());
    }

    /// An ISB.
    pub(super) fn isb(&mut self) {
        self.visible.clear();
    }

    /// The CPU leaves EL2.
    pub(super) fn forget(&mut self) {
        self.stored.clear();
        self.visible.clear();
    }
}

impl Checker {
    /// An entry of a live table went from `old` to `new`.
    pub(super) fn freshened(&mut self, at: Site, place: Place, (old, new): (u64, u64)) {
        let level = place.level;
        let is_own = self.trees[place.tree as usize].cpu == Some(Regime::El2);
        if is_own && entry(old, level) == Entry::Invalid && entry(new, level) == Entry::Leaf {
            let base = new & ADDRESS & !(span(level) - 1);
            let fresh = &mut self.cpus.of(at.cpu).fresh;
            // EL2 maps what it gets page by page; of a block the first pages stand for all.
            for page in (base..base + span(level)).step_by(PAGE_SIZE as usize).take(512) {
                fresh.visible.remove(&page);
                fresh.stored.insert(page, at);
            }
        }
    }

    /// The CPU uses memory at `pa`.
    pub(super) fn used(&mut self, at: Site, pa: u64) {
        let fresh = &self.cpus.of(at.cpu).fresh;
        let page = pa & !(PAGE_SIZE - 1);
        let since = fresh.stored.get(&page).or_else(|| fresh.visible.get(&page)).copied();
        if let Some(since) = since {
            let what = "used by EL2, which has just mapped it".to_owned();
            let barriers = if fresh.stored.contains_key(&page) { "DSB ISHST, ISB" } else { "ISB" };
            let missing = format!("{barriers} between the store to the entry and the use");
            let subject = Subject::Memory { pa: PhysAddr::new(page) };
            self.report(Rule::UsedUnsynchronised, subject, at, Some(since), what, missing);
        }
    }
}
