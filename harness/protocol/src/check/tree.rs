//! Trees of tables: which are live, which page belongs to which, and what a store to an entry does.

use parallax_addr::{PAGE_SIZE, PhysAddr};
use parallax_vmsa::SysRegs;
use parallax_vmsa::regime::{Regime as Walk, Stage2Fields};
use parallax_vmsa::tcr::Vtcr;

use super::change::{Entry, Stage, entry, span};
use super::checker::Checker;
use super::finding::{Regime, Site, Subject};
use super::memory::{Place, Role};
use super::rule::Rule;
use super::tree_state::Tree;
use crate::event::Sysreg;

/// Where a walk starts: level, and number of concatenated tables.
type Geometry = (i8, u64);

fn geometry(walk: Option<Walk>) -> Geometry {
    walk.map_or((0, 1), |walk| (walk.start.number(), walk.root_tables()))
}

impl Checker {
    pub(super) fn sysreg(&mut self, at: Site, reg: Sysreg, value: u64) {
        let cpu = self.cpus.of(at.cpu);
        if reg.is_translation_control() {
            cpu.unsynchronised = cpu.unsynchronised.or(Some(at));
        }
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
                let before = cpu.ttbr0.replace(value);
                self.load_ttbr0(at);
                if before.is_some_and(|before| (before ^ value) & 0xffff_ffff_f000 != 0) {
                    self.el2_root_replaced(at);
                }
            }
            Sysreg::HcrEl2 => self.hcr_written(at, value),
            Sysreg::SctlrEl2 => self.sctlr_written(at, value),
            // Secure state has tables of its own, which nothing here is about.
            Sysreg::VsttbrEl2 | Sysreg::VstcrEl2 => {}
            Sysreg::MairEl2 | Sysreg::EsrEl2 | Sysreg::FarEl2 | Sysreg::HpfarEl2 | Sysreg::IdAa64mmfr2El1 => {
            }
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
            root: PhysAddr::new(root),
            t0sz: vtcr.t0sz,
            sl0: vtcr.sl0,
            tg0: vtcr.tg0,
            ps: vtcr.ps,
            oa_limit: if vtcr.ds { 52 } else { 48 },
            lpa2: vtcr.ds.then_some(vtcr.sh0),
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
            self.report(
                Rule::VmidChanged,
                Subject::Page { pa: PhysAddr::new(root) },
                at,
                None,
                what,
                String::new(),
            );
            self.vmids.remove(&old);
        }
        self.take_vmid(at, vmid, root);
        if let Some(other) = self.vmids.insert(vmid, id).filter(|other| *other != id) {
            let what =
                format!("VMID {vmid} is in use for the root at {:#x}", self.trees[other as usize].root);
            let missing = "a VMID of its own, or the other root given up before".to_owned();
            self.report(
                Rule::VmidDuplicate,
                Subject::Page { pa: PhysAddr::new(root) },
                at,
                None,
                what,
                missing,
            );
        }
        let tree = &mut self.trees[id as usize];
        tree.cpu = Some(Regime::Cpu(vmid));
        tree.loaded |= 1 << at.cpu.min(63);
    }

    pub(super) fn load_ttbr0(&mut self, at: Site) {
        let cpu = self.cpus.of(at.cpu);
        let (value, tcr) = (cpu.ttbr0.unwrap_or_default(), cpu.tcr.unwrap_or_default());
        let hcr = cpu.hcr.unwrap_or_default();
        let root = value & 0xffff_ffff_f000;
        if root == 0 {
            return;
        }
        if value >> 48 != 0 {
            let what = format!("ASID {} in TTBR0_EL2", value >> 48);
            self.report(
                Rule::El2Asid,
                Subject::Page { pa: PhysAddr::new(root) },
                at,
                None,
                what,
                "bits 63:48 zero".to_owned(),
            );
        }
        // HCR_EL2.E2H decides how TCR_EL2 is laid out.
        let regs =
            SysRegs { ttbr0_el2: root, tcr_el2: tcr, hcr_el2: hcr, sctlr_el2: 1, ..SysRegs::default() };
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
                self.forget(at, index as u32);
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
                    self.plain(root + table * PAGE_SIZE, 0);
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
            self.hook(at, place, root + table * PAGE_SIZE, true);
        }
        id
    }

    /// Makes a tree no tree, and its pages plain memory.
    fn forget(&mut self, at: Site, id: u32) {
        let tree = &mut self.trees[id as usize];
        let (cpu, loaded, root) = (tree.cpu, tree.loaded, tree.root);
        (tree.cpu, tree.loaded) = (None, 0);
        let (tables, smmu) = (tree.tables, tree.smmu);
        if let Some(Regime::Cpu(vmid)) = cpu {
            self.give_up_vmid(at, vmid, root, loaded);
        }
        if smmu.is_some() {
            return;
        }
        self.roots.remove(&root);
        self.vmids.retain(|_, tree| *tree != id);
        let mut ids = Vec::new();
        self.records.of_tree(id, &mut ids);
        for record in ids {
            self.drop_record(record);
        }
        for table in 0..tables {
            self.plain(root + table * PAGE_SIZE, 0);
        }
    }

    /// The table at `pa` that hangs under `parent`, and all below it, become plain memory.
    pub(super) fn plain(&mut self, pa: u64, parent: u64) {
        let Role::Table(place) = self.memory.role(pa) else { return };
        if place.parent != parent {
            return;
        }
        self.memory.set_role(pa, Role::Plain);
        for slot in (pa..pa + PAGE_SIZE).step_by(8) {
            if let Entry::Table(child) = entry(self.memory.read(slot), place.level) {
                self.plain(child, slot);
            }
        }
    }

    /// The page at `pa` is a table from here on. `ordered`: stores to it are known to come first.
    pub(super) fn hook(&mut self, at: Site, place: Place, pa: u64, ordered: bool) {
        let page = Subject::Page { pa: PhysAddr::new(pa) };
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
        for slot in (pa..pa + PAGE_SIZE).step_by(8) {
            let ia = place.ia + slot % PAGE_SIZE / 8 * span(place.level);
            match entry(self.memory.read(slot), place.level) {
                Entry::Table(child) => {
                    self.hook(at, Place { level: place.level + 1, ia, parent: slot, ..place }, child, true);
                }
                Entry::Leaf => self.overlaid(at, place, slot, ia),
                Entry::Invalid => {}
            }
        }
    }

    /// The table at `pa` has left its tree: all that was live below it is unclean.
    pub(super) fn unhook(&mut self, at: Site, pa: u64, parent: u64, group: u32) {
        let Role::Table(place) = self.memory.role(pa) else { return };
        if place.parent != parent {
            return;
        }
        self.memory.set_role(pa, Role::Detached(group));
        self.groups.entry(group).or_default().pages.push(pa);
        for slot in (pa..pa + PAGE_SIZE).step_by(8) {
            let ia = place.ia + slot % PAGE_SIZE / 8 * span(place.level);
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

    /// The tree or table at `location` is given up.
    pub(super) fn release_table(&mut self, at: Site, location: u64) {
        let page = location & !(PAGE_SIZE - 1);
        if let Some(id) = self.roots.get(&page).copied() {
            let mut ids = Vec::new();
            self.records.of_tree(id, &mut ids);
            if let Some(record) = ids.first().and_then(|id| self.records.get(*id)) {
                let what = format!("released while an entry below ({}) is not clean", record.what);
                let (since, missing) = (record.by, self.missing(record));
                self.report(
                    Rule::FreedTable,
                    Subject::Page { pa: PhysAddr::new(page) },
                    at,
                    Some(since),
                    what,
                    missing,
                );
            }
            self.forget(at, id);
        } else if let Role::Detached(_) = self.memory.role(page) {
            let missing = self.missing_of_page(page);
            let what = "released while walks could still reach it".to_owned();
            self.report(Rule::FreedTable, Subject::Page { pa: PhysAddr::new(page) }, at, None, what, missing);
        }
    }
}
