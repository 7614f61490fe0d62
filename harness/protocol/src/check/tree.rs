//! Trees of tables: which are live, which page belongs to which, and what a store to an entry does.

use parallax_vmsa::SysRegs;
use parallax_vmsa::regime::{Regime as Walk, Stage2Fields};
use parallax_vmsa::tcr::Vtcr;

use super::change::{Change, Entry, Stage, change, contiguous, entry, same_translation, span};
use super::finding::{Regime, Rule, Site, Subject};
use super::memory::{PAGE, Place, Role};
use super::unclean::{CpuStep, Record, SmmuStep};
use super::{Checker, tlb};
use crate::event::Sysreg;

/// A live root and what walks it.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: u64,
    pub(super) stage: Stage,
    pub(super) start: u8,
    pub(super) tables: u64,
    /// Which regime of the CPUs.
    pub(super) cpu: Option<Regime>,
    /// Its VMID in the SMMU, and whether a stage 1 is nested over it.
    pub(super) smmu: Option<u16>,
    pub(super) nested: bool,
    /// CPUs that have loaded it: bit 63 stands for 63 and above.
    pub(super) loaded: u64,
    pub(super) lock: Option<u64>,
}

/// A subtree that was unhooked: its pages wait until every entry of it is clean.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) left: usize,
    pub(super) pages: Vec<u64>,
}

/// Where a walk starts: level, and number of concatenated tables.
type Geometry = (u8, u64);

fn geometry(walk: Option<Walk>) -> Geometry {
    walk.map_or((0, 1), |walk| (walk.start.number(), walk.root_tables()))
}

impl Checker {
    pub(super) fn sysreg(&mut self, at: Site, reg: Sysreg, value: u64) {
        let cpu = self.cpus.of(at.cpu);
        match reg {
            Sysreg::VtcrEl2 => {
                if cpu.vtcr.replace(value) != Some(value) && cpu.vttbr.is_some() {
                    self.load_vttbr(at);
                }
            }
            Sysreg::TcrEl2 => {
                if cpu.tcr.replace(value) != Some(value) && cpu.ttbr0.is_some() {
                    self.load_ttbr0(at);
                }
            }
            Sysreg::VttbrEl2 => {
                cpu.vttbr = Some(value);
                self.load_vttbr(at);
            }
            Sysreg::Ttbr0El2 => {
                cpu.ttbr0 = Some(value);
                self.load_ttbr0(at);
            }
            Sysreg::HcrEl2 | Sysreg::MairEl2 | Sysreg::SctlrEl2 | Sysreg::IdAa64mmfr2El1 => {}
        }
    }

    fn load_vttbr(&mut self, at: Site) {
        let cpu = self.cpus.of(at.cpu);
        let (value, vtcr) = (cpu.vttbr.unwrap_or_default(), cpu.vtcr.unwrap_or_default());
        let (root, vmid) = (value & 0xffff_ffff_f000, (value >> 48) as u16);
        if root == 0 {
            return;
        }
        let vtcr = Vtcr::decode(vtcr);
        let fields = Stage2Fields {
            root,
            t0sz: vtcr.t0sz,
            sl0: vtcr.sl0,
            tg0: vtcr.tg0,
            ps: vtcr.ps,
            oa_limit: 48,
            ha: false,
            fwb: false,
            vmid,
        };
        let id = self.register(at, root, Stage::Two, geometry(fields.regime().ok()));
        let before = self.trees[id as usize].cpu;
        if let Some(Regime::Cpu(old)) = before
            && old != vmid
        {
            let what = format!("VMID {vmid} for a live root that has VMID {old}");
            self.report(Rule::VmidChanged, Subject::Page { pa: root }, at, None, what, String::new());
            self.vmids.remove(&old);
        }
        if let Some(other) = self.vmids.insert(vmid, id).filter(|other| *other != id) {
            let what =
                format!("VMID {vmid} is in use for the root at {:#x}", self.trees[other as usize].root);
            let missing = "a VMID of its own, or the other root given up before".to_owned();
            self.report(Rule::VmidDuplicate, Subject::Page { pa: root }, at, None, what, missing);
        }
        let tree = &mut self.trees[id as usize];
        tree.cpu = Some(Regime::Cpu(vmid));
        tree.loaded |= 1 << at.cpu.min(63);
    }

    fn load_ttbr0(&mut self, at: Site) {
        let cpu = self.cpus.of(at.cpu);
        let (value, tcr) = (cpu.ttbr0.unwrap_or_default(), cpu.tcr.unwrap_or_default());
        let root = value & 0xffff_ffff_f000;
        if root == 0 {
            return;
        }
        if value >> 48 != 0 {
            let what = format!("ASID {} in TTBR0_EL2", value >> 48);
            self.report(
                Rule::El2Asid,
                Subject::Page { pa: root },
                at,
                None,
                what,
                "bits 63:48 zero".to_owned(),
            );
        }
        let regs = SysRegs {
            vttbr_el2: 0,
            vtcr_el2: 0,
            hcr_el2: 0,
            ttbr0_el2: root,
            tcr_el2: tcr,
            mair_el2: 0,
            sctlr_el2: 1,
        };
        let id = self.register(at, root, Stage::One, geometry(Walk::el2_stage1(&regs).ok().flatten()));
        let tree = &mut self.trees[id as usize];
        tree.cpu = Some(Regime::El2);
        tree.loaded |= 1 << at.cpu.min(63);
        // EL2 has no ASIDs: a root that no CPU has loaded any more is not live.
        for index in 0..self.trees.len() {
            let root = self.trees[index].root;
            if self.trees[index].cpu == Some(Regime::El2)
                && !self.cpus.iter().any(|cpu| cpu.ttbr0.is_some_and(|ttbr| ttbr & 0xffff_ffff_f000 == root))
            {
                self.forget(index as u32);
            }
        }
    }

    /// The tree with this root, which is live from here on.
    pub(super) fn register(&mut self, at: Site, root: u64, stage: Stage, (start, tables): Geometry) -> u32 {
        let known = self.roots.get(&root).copied();
        let id = match known {
            Some(id) => {
                let tree = &self.trees[id as usize];
                if (tree.start, tree.tables, tree.stage) == (start, tables, stage) {
                    return id;
                }
                for table in 0..tree.tables {
                    self.plain(root + table * PAGE, 0);
                }
                let tree = &mut self.trees[id as usize];
                (tree.start, tree.tables, tree.stage) = (start, tables, stage);
                id
            }
            None => {
                let lock = self.locks.get(&root).copied();
                let id = self.trees.len() as u32;
                self.trees.push(Tree {
                    root,
                    stage,
                    start,
                    tables,
                    cpu: None,
                    smmu: None,
                    nested: false,
                    loaded: 0,
                    lock,
                });
                self.roots.insert(root, id);
                id
            }
        };
        for table in 0..tables {
            let place = Place { tree: id, level: start, ia: table * 512 * span(start), parent: 0 };
            self.hook(at, place, root + table * PAGE, true);
        }
        id
    }

    /// Makes a tree no tree, and its pages plain memory.
    fn forget(&mut self, id: u32) {
        let tree = &mut self.trees[id as usize];
        (tree.cpu, tree.loaded) = (None, 0);
        if tree.smmu.is_some() {
            return;
        }
        let (root, tables) = (tree.root, tree.tables);
        self.roots.remove(&root);
        self.vmids.retain(|_, tree| *tree != id);
        let mut ids = Vec::new();
        self.records.of_tree(id, &mut ids);
        for record in ids {
            self.drop_record(record);
        }
        for table in 0..tables {
            self.plain(root + table * PAGE, 0);
        }
    }

    /// The table at `pa` that hangs under `parent`, and all below it, become plain memory.
    fn plain(&mut self, pa: u64, parent: u64) {
        let Role::Table(place) = self.memory.role(pa) else { return };
        if place.parent != parent {
            return;
        }
        self.memory.set_role(pa, Role::Plain);
        for slot in (pa..pa + PAGE).step_by(8) {
            if let Entry::Table(child) = entry(self.memory.read(slot), place.level) {
                self.plain(child, slot);
            }
        }
    }

    /// The page at `pa` is a table from here on. `ordered`: stores to it are known to come first.
    fn hook(&mut self, at: Site, place: Place, pa: u64, ordered: bool) {
        let page = Subject::Page { pa };
        match self.memory.role(pa) {
            Role::Table(other) if other.parent != place.parent || other.tree != place.tree => {
                let what =
                    format!("hangs under {:#x} already, and now under {:#x}", other.parent, place.parent);
                self.report(Rule::TwoParents, page, at, None, what, String::new());
                return;
            }
            Role::Detached(_) => {
                let missing = self.missing_of_page(pa);
                let what = "hooked in again while walks could still reach it as what it was".to_owned();
                self.report(Rule::TableReused, page, at, None, what, missing);
            }
            _ => {}
        }
        let before = self.cpus.get(at.cpu).map_or(0, |cpu| cpu.ordered);
        let last = self.memory.page(pa).and_then(|page| page.last);
        if !ordered && last.is_some_and(|(cpu, time)| cpu == at.cpu && time > before) {
            let what = "hooked in by a plain store right after stores to it".to_owned();
            let missing = "store-release, or a barrier between".to_owned();
            self.report(Rule::UnorderedTable, page, at, None, what, missing);
        }
        self.memory.set_role(pa, Role::Table(place));
        for slot in (pa..pa + PAGE).step_by(8) {
            if let Entry::Table(child) = entry(self.memory.read(slot), place.level) {
                let ia = place.ia + slot % PAGE / 8 * span(place.level);
                self.hook(at, Place { level: place.level + 1, ia, parent: slot, ..place }, child, true);
            }
        }
    }

    /// The table at `pa` has left its tree: all that was live below it is unclean.
    fn unhook(&mut self, at: Site, pa: u64, parent: u64, group: u32) {
        let Role::Table(place) = self.memory.role(pa) else { return };
        if place.parent != parent {
            return;
        }
        self.memory.set_role(pa, Role::Detached(group));
        self.groups.entry(group).or_default().pages.push(pa);
        for slot in (pa..pa + PAGE).step_by(8) {
            let ia = place.ia + slot % PAGE / 8 * span(place.level);
            let old = entry(self.memory.read(slot), place.level);
            if old != Entry::Invalid || self.records.at(slot).is_some() {
                let leaf = !matches!(old, Entry::Table(_));
                self.unclean(at, place, slot, ia, leaf, "the table of this entry was taken out", Some(group));
            }
            if let Entry::Table(child) = old {
                self.unhook(at, child, slot, group);
            }
        }
    }

    /// A store to an entry of a live table.
    pub(super) fn entry_store(&mut self, at: Site, place: Place, pa: u64, old: u64, new: u64, release: bool) {
        let tree = &self.trees[place.tree as usize];
        let (stage, lock) = (tree.stage, tree.lock);
        let level = place.level;
        let ia = place.ia + pa % PAGE / 8 * span(level);
        if let Some(lock) = lock {
            let held = self.cpus.get(at.cpu).is_some_and(|cpu| cpu.locks.contains(&lock));
            if !held && self.owners.get(&pa).copied() != Some(u64::from(at.cpu)) {
                let what = format!("written without the lock at {lock:#x}");
                let subject = self.subject(place.tree, level, ia, pa);
                self.report(Rule::Unlocked, subject, at, None, what, "the tree's lock held".to_owned());
            }
        }
        let unclean = self.records.at(pa);
        let change = change(stage, level, old, new);
        match change {
            Change::None => {}
            Change::Publish => {
                let subject = self.subject(place.tree, level, ia, pa);
                if let Some(id) = unclean {
                    self.remade(at, id);
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
        if let (Entry::Table(child), Some(group)) = (was, group) {
            self.unhook(at, child, pa, group);
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
        let missing = format!("an invalid value first, {}", self.missing(&record));
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
            let what = format!(
                "made valid while its old value ({} at event {}) may be cached",
                record.what, record.by.seq
            );
            let (subject, since, missing) = (self.subject_of(record), record.by, self.missing(record));
            self.report(Rule::Unclean, subject, at, Some(since), what, missing);
        }
        self.drop_record(id);
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
            group: None,
            reported: false,
            near: None,
        }
    }

    /// Notes that an entry's old value may be cached.
    #[allow(
        clippy::too_many_arguments,
        reason = "an entry is a place, an address in two spaces, and what it was"
    )]
    fn unclean(
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

    /// The tree or table at `location` is given up.
    pub(super) fn release_table(&mut self, at: Site, location: u64) {
        let page = location & !(PAGE - 1);
        if let Some(id) = self.roots.get(&page).copied() {
            let mut ids = Vec::new();
            self.records.of_tree(id, &mut ids);
            if let Some(record) = ids.first().and_then(|id| self.records.get(*id)) {
                let what = format!(
                    "released while an entry below ({} at event {}) is not clean",
                    record.what, record.by.seq
                );
                let (since, missing) = (record.by, self.missing(record));
                self.report(Rule::FreedTable, Subject::Page { pa: page }, at, Some(since), what, missing);
            }
            self.forget(id);
        } else if let Role::Detached(_) = self.memory.role(page) {
            let missing = self.missing_of_page(page);
            let what = "released while walks could still reach it".to_owned();
            self.report(Rule::FreedTable, Subject::Page { pa: page }, at, None, what, missing);
        }
    }

    pub(super) fn subject(&self, tree: u32, level: u8, ia: u64, pa: u64) -> Subject {
        let tree = &self.trees[tree as usize];
        let regime = tree.cpu.unwrap_or(Regime::Smmu(tree.smmu.unwrap_or_default()));
        Subject::Entry { regime, level, ia, pa }
    }

    pub(super) fn subject_of(&self, record: &Record) -> Subject {
        let Subject::Entry { regime, level, ia, pa } =
            self.subject(record.tree, record.level, record.ia, record.pa)
        else {
            return Subject::Page { pa: record.pa };
        };
        // Of two regimes, the one that is late.
        let smmu = self.trees[record.tree as usize].smmu;
        let regime = if record.cpu.is_none() { smmu.map_or(regime, Regime::Smmu) } else { regime };
        Subject::Entry { regime, level, ia, pa }
    }

    /// What an unclean entry still needs.
    pub(super) fn missing(&self, record: &Record) -> String {
        let visible = self.cpus.get(record.by.cpu).is_some_and(|cpu| cpu.dsb_shared > record.time);
        tlb::missing(record, &self.trees[record.tree as usize], visible)
    }

    /// What a page still needs that left its tree.
    pub(super) fn missing_of_page(&self, pa: u64) -> String {
        let Role::Detached(group) = self.memory.role(pa) else { return String::new() };
        let waits = self.records.all().filter_map(|id| self.records.get(id)).find(|r| r.group == Some(group));
        waits.map_or_else(String::new, |record| self.missing(record))
    }
}
