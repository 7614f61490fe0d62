//! Stores to entries of live tables: which change it is, what it makes unclean, and what it may not do yet.

use parallax_addr::{InputAddr, PAGE_SIZE, PhysAddr};

use super::attempt::Missing;
use super::change::{Change, Entry, change, contiguous, entry, same_translation, span};
use super::finding::{Regime, Site, Subject};
use super::memory::{Place, Role};
use super::rule::Rule;
use super::unclean::{CpuStep, Record, SmmuStep};
use super::{Checker, attempt};

impl Checker {
    /// A store to an entry of a live table.
    pub(super) fn entry_store(&mut self, at: Site, place: Place, pa: u64, old: u64, new: u64, release: bool) {
        let tree = &self.trees[place.tree as usize];
        let (stage, lock) = (tree.stage, tree.lock);
        let level = place.level;
        let ia = place.ia + pa % PAGE_SIZE / 8 * span(level);
        if let Some(lock) = lock {
            let held = self.cpus.get(at.cpu).is_some_and(|cpu| cpu.locks.contains_key(&lock));
            if !held && self.owners.get(&pa).copied() != Some(u64::from(at.cpu)) {
                let what = format!("written without the lock at {lock:#x}");
                let subject = self.subject(place.tree, level, ia, pa);
                self.report(Rule::Unlocked, subject, at, None, what, "the tree's lock held".to_owned());
            }
        }
        self.el2_relied(at);
        self.moved(at, place, ia, (old, new));
        self.freshened(at, place, (old, new));
        let unclean = self.records.at(pa);
        let change = change(stage, level, old, new);
        match change {
            Change::None => {}
            Change::Publish => {
                let subject = self.subject(place.tree, level, ia, pa);
                if let Some(id) = unclean {
                    self.remade(at, id);
                } else if entry(new, level) == Entry::Leaf {
                    self.overlaid(at, place, pa, ia);
                }
                self.check_contiguous(at, place, pa, ia, new);
                let cpu = self.cpus.of(at.cpu);
                cpu.publish.get_or_insert((at, subject));
                self.hook_entry(at, place, pa, ia, new, release);
            }
            Change::Invalidate | Change::Reduce => {
                let was = entry(old, level);
                let what = if change == Change::Reduce { "permissions were taken away" } else { "cleared" };
                self.take(at, place, pa, ia, was, what);
            }
            Change::Resize => self.resize(at, place, pa, ia, (old, new), release),
            Change::Break(how) => self.broken(at, place, pa, ia, (old, new), how),
        }
    }

    /// An entry loses what it gave; a table below it leaves the tree.
    fn take(&mut self, at: Site, place: Place, pa: u64, ia: u64, was: Entry, what: &'static str) {
        let group = match was {
            Entry::Table(_) => {
                self.next_group = self.next_group.wrapping_add(1);
                Some(self.next_group)
            }
            _ => None,
        };
        self.unclean(at, place, pa, ia, group.is_none(), what, group);
        match (was, group) {
            (Entry::Table(child), Some(group)) if self.trees[place.tree as usize].is_walked() => {
                self.unhook(at, child, pa, group);
            }
            (Entry::Table(child), _) => self.plain(child, pa),
            _ => {}
        }
    }

    fn hook_entry(&mut self, at: Site, place: Place, pa: u64, ia: u64, new: u64, release: bool) {
        if let Entry::Table(child) = entry(new, place.level) {
            self.hook(at, Place { level: place.level + 1, ia, parent: pa, ..place }, child, release);
        }
    }

    /// Block to table or back, or another contiguous hint: in place only where FEAT_BBM level 2 allows it.
    fn resize(&mut self, at: Site, place: Place, pa: u64, ia: u64, (old, new): (u64, u64), release: bool) {
        let tree = &self.trees[place.tree as usize];
        let cpu = tree.cpu.is_none() || self.config.cpu_bbm >= 2;
        let smmu = tree.smmu.is_none() || self.config.smmu_bbm >= 2;
        if !(cpu && smmu) {
            let why = match (entry(old, place.level), entry(new, place.level)) {
                (Entry::Leaf, Entry::Leaf) => "another contiguous hint",
                (Entry::Leaf, _) => "a table in the place of a block",
                _ => "a block in the place of a table",
            };
            return self.broken(at, place, pa, ia, (old, new), why);
        }
        let (block, table) = match (entry(old, place.level), entry(new, place.level)) {
            (Entry::Leaf, Entry::Table(table)) => (old, table),
            (Entry::Table(table), Entry::Leaf) => (new, table),
            _ => {
                return self.take(at, place, pa, ia, Entry::Leaf, "the contiguous hint was changed in place");
            }
        };
        let same = (0..512)
            .all(|index| same_translation(block, place.level, index, self.memory.read(table + index * 8)));
        if !same {
            let how = "a table and a block that do not translate the same";
            return self.broken(at, place, pa, ia, (old, new), how);
        }
        self.take(at, place, pa, ia, entry(old, place.level), "the size of a block was changed in place");
        self.hook_entry(at, place, pa, ia, new, release);
    }

    /// A change that needed a break. What was there before is forgotten, so that one mistake is one finding.
    fn broken(&mut self, at: Site, place: Place, pa: u64, ia: u64, (old, new): (u64, u64), how: &str) {
        let what = format!("{how}: {old:#x} became {new:#x} while it was live");
        let record = self.new_record(at, place, pa, ia, true, "");
        let mut missing = self.missing(&record);
        missing.text.insert_str(0, "an invalid value first, ");
        let subject = self.subject(place.tree, place.level, ia, pa);
        self.report(Rule::BreakBeforeMake, subject, at, None, what, missing);
        if let Some(id) = self.records.at(pa) {
            self.drop_record(id);
        }
        if let Entry::Table(child) = entry(old, place.level) {
            self.plain(child, pa);
        }
        self.hook_entry(at, place, pa, ia, new, true);
    }

    /// An unclean entry was made valid.
    fn remade(&mut self, at: Site, id: u32) {
        let Some(record) = self.records.get(id) else { return };
        if !record.reported {
            let what = format!("made valid while its old value ({}) may be cached", record.what);
            let (subject, since, missing) = (self.subject_of(record), record.by, self.missing(record));
            self.report(Rule::Unclean, subject, at, Some(since), what, missing);
        }
        self.drop_record(id);
    }

    /// A leaf became valid that translates what another entry did, which is unclean: one of a table that was taken out,
    /// of whatever level. (An unclean entry above it is a block that it was a part of, split in place.)
    pub(super) fn overlaid(&mut self, at: Site, place: Place, pa: u64, ia: u64) {
        if self.records.is_empty() {
            return;
        }
        let mut ids = std::mem::take(&mut self.scratch);
        ids.clear();
        self.records.in_range(place.tree, ia, span(place.level), &mut ids);
        for id in &ids {
            let Some(record) = self.records.get(*id) else { continue };
            if record.reported || record.pa == pa || self.is_above(record.pa, place) {
                continue;
            }
            let what = format!(
                "made valid while what another entry gave for {:#x} ({}) may be cached",
                record.ia, record.what
            );
            let (by, missing) = (record.by, self.missing(record));
            let subject = self.subject(place.tree, place.level, ia, pa);
            self.report(Rule::Unclean, subject, at, Some(by), what, missing);
            if let Some(record) = self.records.get_mut(*id) {
                record.reported = true;
            }
            self.cpus.of(by.cpu).open -= 1;
        }
        self.scratch = ids;
    }

    /// Whether the entry at `pa` leads to a table at `place`.
    fn is_above(&self, pa: u64, place: Place) -> bool {
        let up = |place: &Place| match self.memory.role(place.parent) {
            Role::Table(above) if place.parent != 0 => Some(above),
            _ => None,
        };
        std::iter::successors(Some(place), up).take(4).any(|place| place.parent == pa)
    }

    /// A valid leaf must agree with the others of its set of 16 on the contiguous hint.
    fn check_contiguous(&mut self, at: Site, place: Place, pa: u64, ia: u64, new: u64) {
        if entry(new, place.level) != Entry::Leaf || self.config.cpu_bbm >= 2 {
            return;
        }
        let set = pa & !0x7f;
        let odd = (set..set + 0x80).step_by(8).find(|slot| {
            let other = self.memory.read(*slot);
            *slot != pa && entry(other, place.level) == Entry::Leaf && contiguous(other) != contiguous(new)
        });
        if let Some(odd) = odd {
            let what = format!("its contiguous hint differs from that of the entry at {odd:#x}");
            let missing = "all 16 entries of the set invalid and clean first".to_owned();
            let subject = self.subject(place.tree, place.level, ia, pa);
            self.report(Rule::Contiguous, subject, at, None, what, missing);
        }
    }

    fn new_record(&self, at: Site, place: Place, pa: u64, ia: u64, leaf: bool, what: &'static str) -> Record {
        let tree = &self.trees[place.tree as usize];
        Record {
            pa,
            tree: place.tree,
            level: place.level,
            ia,
            leaf,
            what,
            by: at,
            time: self.time,
            cpu: tree.cpu.map(|_| CpuStep::Stored),
            smmu: tree.smmu.map(|_| SmmuStep::Stored),
            issued: None,
            once: None,
            group: None,
            reported: false,
            attempt: None,
        }
    }

    /// Notes that an entry's old value may be cached.
    #[allow(
        clippy::too_many_arguments,
        reason = "an entry is a place, an address in two spaces, and what it was"
    )]
    pub(super) fn unclean(
        &mut self,
        at: Site,
        place: Place,
        pa: u64,
        ia: u64,
        leaf: bool,
        what: &'static str,
        group: Option<u32>,
    ) {
        let mut record = self.new_record(at, place, pa, ia, leaf, what);
        record.group = group;
        if let Some(old) = self.records.at(pa) {
            if let Some(old) = self.records.get(old) {
                record.group = record.group.or(old.group);
            }
            if let Some(group) = record.group {
                self.groups.entry(group).or_default().left += 1;
            }
            self.drop_record(old);
        } else if let Some(group) = record.group {
            self.groups.entry(group).or_default().left += 1;
        }
        self.cpus.of(at.cpu).open += 1;
        self.records.insert(record);
        if !self.trees[place.tree as usize].is_walked()
            && let Some(id) = self.records.at(pa)
        {
            self.drop_record(id);
        }
    }

    /// An entry is clean, or nothing is to be said of it any more.
    pub(super) fn drop_record(&mut self, id: u32) {
        let Some(record) = self.records.remove(id) else { return };
        if !record.reported {
            self.cpus.of(record.by.cpu).open -= 1;
        }
        if let Some(group) = record.group
            && let Some(waiting) = self.groups.get_mut(&group)
        {
            waiting.left -= 1;
            if waiting.left == 0 {
                let pages = self.groups.remove(&group).unwrap_or_default().pages;
                for page in pages {
                    if self.memory.role(page) == Role::Detached(group) {
                        self.memory.set_role(page, Role::Plain);
                    }
                }
            }
        }
    }

    pub(super) fn subject(&self, tree: u32, level: i8, ia: u64, pa: u64) -> Subject {
        let tree = &self.trees[tree as usize];
        let regime = tree.cpu.unwrap_or(Regime::Smmu(tree.smmu.unwrap_or_default()));
        Subject::Entry { regime, level, ia: InputAddr::new(ia), pa: PhysAddr::new(pa) }
    }

    pub(super) fn subject_of(&self, record: &Record) -> Subject {
        let Subject::Entry { regime, level, ia, pa } =
            self.subject(record.tree, record.level, record.ia, record.pa)
        else {
            return Subject::Page { pa: PhysAddr::new(record.pa) };
        };
        // Of two regimes, the one that is late.
        let smmu = self.trees[record.tree as usize].smmu;
        let regime = if record.cpu.is_none() { smmu.map_or(regime, Regime::Smmu) } else { regime };
        Subject::Entry { regime, level, ia, pa }
    }

    /// What an unclean entry still needs.
    pub(super) fn missing(&self, record: &Record) -> Missing {
        let visible = self.cpus.get(record.by.cpu).is_some_and(|cpu| cpu.dsb_shared > record.time);
        let waiting = record.smmu.and_then(|_| self.waiting_tlbi(record.time));
        let early = self.sync_before(record.time, "the TLBI command");
        attempt::missing(record, &self.trees[record.tree as usize], visible, waiting, early)
    }

    /// What a page still needs that left its tree.
    pub(super) fn missing_of_page(&self, pa: u64) -> Missing {
        let Role::Detached(group) = self.memory.role(pa) else { return Missing::default() };
        let waits = self.records.all().filter_map(|id| self.records.get(id)).find(|r| r.group == Some(group));
        waits.map_or_else(Missing::default, |record| self.missing(record))
    }
}
