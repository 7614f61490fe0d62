//! A whole walk: every table, leaf, annotation and malformed entry, in order of input addresses.
//!
//! The visitor is called once a run, not once an entry. A walk always ends: it follows each table once, so loops
//! and tables used twice become findings ([`Malformed`]), as does memory that cannot be read. [`TableCache`] keeps
//! the bytes and runs of each table; a second walk decodes only tables whose bytes changed, and where memory knows
//! its versions ([`PhysMem::version`]) it reads only those. When it also says what was written
//! ([`PhysMem::written`]), [`TableCache::rewalk`] looks at nothing else, and hands out only what changed.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use parallax_addr::{InputAddr, PAGE_SIZE, PhysAddr, Span};

use crate::cached::Cached;
use crate::desc::{self, Form, Level};
use crate::mem::{MemError, PhysMem};
use crate::regime::{Regime, Stage};
use crate::stage1::TableAttrs;
use crate::table::{Item, What};
pub use crate::visit::{Malformed, Run, Visit};

/// Walks all of `regime` and calls `visit` in order of input addresses.
pub fn walk<M: PhysMem + ?Sized>(mem: &M, regime: &Regime, visit: impl FnMut(Visit)) {
    TableCache { keep: false, ..TableCache::new() }.walk(mem, regime, visit);
}

/// The tables of one regime as they were at its last walk.
#[derive(Clone, Debug)]
pub struct TableCache {
    tables: HashMap<PhysAddr, Cached, RandomState>,
    walks: u64,
    /// Whether there will be a second walk that compares bytes.
    keep: bool,
    /// What was walked last, if every table of it has a version.
    steady: Option<Regime>,
}

impl Default for TableCache {
    fn default() -> Self {
        Self::new()
    }
}

/// What reading a table gave.
enum Fetched {
    /// Its runs, and whether its bytes changed since the last walk.
    Table { items: Arc<[Item]>, changed: bool },
    /// This walk was there before.
    Seen,
}

impl TableCache {
    /// A cache without any table. Keep one for each regime that is walked again and again.
    #[must_use]
    pub fn new() -> Self {
        Self { tables: HashMap::default(), walks: 0, keep: true, steady: None }
    }

    /// Walks all of `regime` and calls `visit` in order of input addresses; decodes only what changed since this
    /// cache's last walk.
    pub fn walk<M: PhysMem + ?Sized>(&mut self, mem: &M, regime: &Regime, visit: impl FnMut(Visit)) {
        self.walks += 1;
        self.steady = Some(*regime);
        let mut walker = Walker { mem, regime, cache: self, visit, path: Vec::with_capacity(4) };
        let mut left = regime.root_entries();
        for number in 0..regime.root_tables() {
            let entries = left.min(512) as u16;
            let table = regime.root.wrapping_add(PAGE_SIZE * number);
            let ia = InputAddr::new(number * 512 * regime.start.entry_size());
            let (level, tables) = (regime.start, TableAttrs::default());
            if let Err(why) = walker.table(table, level, ia, entries, tables) {
                let run =
                    Run { ia, level, count: entries, desc: 0, table, index: 0, tables, form: regime.form() };
                (walker.visit)(Visit::Malformed(run, why));
            }
            left -= u64::from(entries);
        }
        let walks = self.walks;
        self.tables.retain(|_, table| table.walk == walks);
    }

    /// Looks only at those of the last walk's tables that are among the pages `written`, on the memory's word that no other
    /// page changed since then, and gives `part` the input addresses of the entries that changed, with all that a walk would
    /// come across there. False when that cannot do, whatever was given until then: another
    /// regime, a table above the last level, memory that does not tell of every table.
    pub fn rewalk<M: PhysMem + ?Sized>(
        &mut self,
        mem: &M,
        regime: &Regime,
        written: &[PhysAddr],
        mut part: impl FnMut(Span<InputAddr>, &[Visit]),
    ) -> bool {
        if self.steady != Some(*regime) {
            return false;
        }
        let mut visits = Vec::new();
        written.iter().all(|pa| {
            let Some(table) = self.tables.get_mut(pa) else { return true };
            visits.clear();
            match table.follow(mem, *pa, &mut visits) {
                Some(Some(span)) => part(span, &visits),
                Some(None) => (),
                None => return false,
            }
            true
        })
    }

    /// The tables of the last walk and their bytes, in no order.
    pub fn tables(&self) -> impl Iterator<Item = (PhysAddr, &[u8])> {
        self.tables.iter().map(|(pa, table)| (*pa, &*table.bytes))
    }

    /// Reads the table at `pa` and says what is in it.
    fn fetch<M: PhysMem + ?Sized>(
        &mut self,
        mem: &M,
        pa: PhysAddr,
        (level, form): (Level, Form),
        entries: u16,
        (ia, above): (InputAddr, TableAttrs),
    ) -> Result<Fetched, MemError> {
        let known = self.tables.get_mut(&pa);
        if known.as_ref().is_some_and(|table| table.walk == self.walks) {
            return Ok(Fetched::Seen);
        }
        let version = mem.version(pa);
        if let Some(table) = known
            && (table.level, table.form, table.bytes.len()) == (level, form, 8 * usize::from(entries))
            && version.is_some()
            && table.version == version
        {
            (table.walk, table.ia, table.above) = (self.walks, ia, above);
            return Ok(Fetched::Table { items: table.items(), changed: false });
        }
        if version.is_none() {
            self.steady = None;
        }
        let known = self.tables.get_mut(&pa);
        let mut buffer = [0; 4096];
        let bytes = &mut buffer[..8 * usize::from(entries)];
        mem.read(pa, bytes)?;
        if let Some(table) = known
            && (table.level, table.form) == (level, form)
            && *table.bytes == *bytes
        {
            (table.walk, table.ia, table.above) = (self.walks, ia, above);
            table.version = version;
            return Ok(Fetched::Table { items: table.items(), changed: false });
        }
        let mut table = Cached::new(bytes, level, form);
        (table.walk, table.ia, table.above, table.version) = (self.walks, ia, above, version);
        let items = table.items();
        if !self.keep {
            table.bytes = Box::default();
        }
        self.tables.insert(pa, table);
        Ok(Fetched::Table { items, changed: true })
    }
}

struct Walker<'a, M: ?Sized, V> {
    mem: &'a M,
    regime: &'a Regime,
    cache: &'a mut TableCache,
    visit: V,
    path: Vec<PhysAddr>,
}

impl<M: PhysMem + ?Sized, V: FnMut(Visit)> Walker<'_, M, V> {
    fn table(
        &mut self,
        pa: PhysAddr,
        level: Level,
        ia: InputAddr,
        entries: u16,
        tables: TableAttrs,
    ) -> Result<(), Malformed> {
        if self.path.contains(&pa) {
            return Err(Malformed::Cycle(pa));
        }
        let fetched = self.cache.fetch(self.mem, pa, (level, self.regime.form()), entries, (ia, tables));
        let (items, changed) = match fetched.map_err(Malformed::Unreadable)? {
            Fetched::Table { items, changed } => (items, changed),
            Fetched::Seen => return Err(Malformed::Reused(pa)),
        };
        (self.visit)(Visit::Table { pa, level, ia, entries, changed });
        self.path.push(pa);
        for item in &*items {
            let ia = ia.wrapping_add(u64::from(item.first) * level.entry_size());
            let (count, desc, index) = (item.count, item.desc, item.first);
            self.item(
                item.what,
                Run { ia, level, count, desc, table: pa, index, tables, form: self.regime.form() },
            );
        }
        self.path.pop();
        Ok(())
    }

    fn item(&mut self, what: What, run: Run) {
        match what {
            What::Table => self.descend(run),
            What::TableRes0 => {
                let bits = run.desc & desc::TABLE_RES0;
                (self.visit)(Visit::Malformed(run, Malformed::Res0 { bits }));
                self.descend(run);
            }
            _ => run.visits(what).for_each(&mut self.visit),
        }
    }

    fn descend(&mut self, run: Run) {
        let Some(level) = run.level.next() else { return };
        let tables = match self.regime.stage {
            Stage::One(_) => run.tables.and_below(TableAttrs::decode(run.desc)),
            Stage::Two(_) => run.tables,
        };
        if let Err(why) = self.table(desc::table_address(run.desc, run.form), level, run.ia, 512, tables) {
            (self.visit)(Visit::Malformed(run, why));
        }
    }
}
