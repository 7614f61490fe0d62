//! The entries of one translation regime, followed from one moment to the next.
//!
//! Where memory says what was written since the last look, only the tables among that are looked at, and what they hold
//! replaces what they held.

use parallax_addr::{PhysAddr, Point, Span};
use parallax_vmsa::walk::{TableCache, Visit};
use parallax_vmsa::{PhysMem, Regime};

use super::tables::{self, Entry};
use crate::run::{self, Run};
use crate::runs::Runs;
use crate::told::OwnerForm;

/// What entries of one kind map.
type Entries<E> = Vec<Run<<E as Entry>::Address, E>>;

/// The entries as they were last.
#[derive(Debug)]
pub(super) struct Lane<E: Entry> {
    cache: TableCache,
    /// When that was.
    moment: Option<u64>,
    pub(super) entries: Runs<E::Address, E>,
    /// Addresses of the tables, in the order of the walk.
    pub(super) tables: Vec<PhysAddr>,
    /// What is wrong with the tables themselves.
    pub(super) faults: Vec<String>,
}

impl<E: Entry> Default for Lane<E> {
    fn default() -> Self {
        Self {
            cache: TableCache::new(),
            moment: None,
            entries: Runs::default(),
            tables: Vec::new(),
            faults: Vec::new(),
        }
    }
}

impl<E: Entry> Lane<E> {
    /// Takes over what `regime` is now, and says whether its tables may be others than before.
    /// Entries that are not valid name owners in the form `owners`.
    pub(super) fn follow(&mut self, mem: &dyn PhysMem, regime: &Regime, owners: OwnerForm) -> bool {
        let written = self.moment.and_then(|moment| mem.written(moment));
        let kept = written.is_some_and(|written| self.follow_written(mem, (regime, owners), &written));
        if !kept {
            self.walk(mem, (regime, owners));
        }
        self.moment = mem.moment();
        !kept
    }

    fn follow_written(
        &mut self,
        mem: &dyn PhysMem,
        (regime, owners): (&Regime, OwnerForm),
        written: &[PhysAddr],
    ) -> bool {
        let Self { cache, entries, .. } = self;
        let mut runs: Entries<E> = Vec::new();
        cache.rewalk(mem, regime, written, |span, visits| {
            runs.clear();
            let there = visits.iter().filter_map(|visit| E::of(visit, regime, owners));
            there.for_each(|entry| run::push(&mut runs, entry));
            let span = Span::new(E::Address::at(span.base.get()), span.size);
            run::replace(entries.make_mut(), span, &runs);
        })
    }

    fn walk(&mut self, mem: &dyn PhysMem, (regime, owners): (&Regime, OwnerForm)) {
        self.tables.clear();
        self.faults.clear();
        let mut entries = Vec::with_capacity(self.entries.len());
        let Self { cache, tables, faults, .. } = self;
        cache.walk(mem, regime, |visit| {
            if let Visit::Table { pa, .. } = visit {
                tables.push(pa);
            }
            faults.extend(tables::fault(&visit));
            if let Some(entry) = E::of(&visit, regime, owners) {
                run::push(&mut entries, entry);
            }
        });
        self.entries.update(entries);
    }
}
