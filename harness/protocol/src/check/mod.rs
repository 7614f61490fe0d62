//! The checker: a state machine for each entry of each live table, fed with [`Event`]s one by one.
//!
//! It models a TLB that never forgets by itself: hardware may evict a translation, software may not rely on it. The
//! TLBs themselves are not simulated. An entry that was live and changed is *unclean* until the events that remove
//! every stale copy have happened in their order; what may not happen before that is a finding. docs/protocol.md has
//! the rules with their sources.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `finding` | [`Finding`] |
//! | `rule` | [`Rule`]: the table of the rules |
//! | `change` | what a store means for an entry |
//! | `memory`, `tree` | contents of memory; which page is a table of which tree |
//! | `entry` | stores to entries of live tables |
//! | `unclean`, `tlb` | unclean entries; TLBI and DSB on the CPUs |
//! | `vmid` | VMIDs whose tree was given up |
//! | `cpu` | what each CPU has done lately |
//! | `smmu`, `stream` | command queue and TLBI commands; stream table entries |
//! | `context` | where context descriptors are, and what differs for them |
//!
//! Any events are safe to feed: nothing panics, and memory is bounded by [`Config::max_pages`] and the events.

mod change;
mod context;
mod cpu;
mod entry;
mod finding;
mod look;
mod memory;
mod rule;
mod smmu;
mod stream;
mod tlb;
mod tree;
mod unclean;
mod vmid;

use std::collections::HashMap;

use self::cpu::Cpus;
pub use self::finding::{Finding, Regime, Site, Subject};
pub use self::look::Side;
use self::memory::{Memory, PAGE, Role};
pub use self::rule::Rule;
use self::smmu::Smmu;
use self::tree::{Group, Tree};
use self::unclean::Records;
use self::vmid::Stale;
use crate::event::{Barrier, Event, HintKind, Kind, Sysreg};

/// What is known before the first event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Level of FEAT_BBM on the CPUs; a load of ID_AA64MMFR2_EL1 in the stream replaces it.
    pub cpu_bbm: u8,
    /// IDR3.BBML of the SMMU; a load of IDR3 in the stream replaces it.
    pub smmu_bbm: u8,
    /// Pages of 4 KiB whose contents are followed; stores to more of them are counted as lost.
    pub max_pages: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { cpu_bbm: 0, smmu_bbm: 0, max_pages: 1 << 18 }
    }
}

/// The checker.
#[derive(Debug)]
pub struct Checker {
    config: Config,
    /// Events so far: the time by which everything is ordered. Event numbers of a file may be anything.
    time: u64,
    memory: Memory,
    trees: Vec<Tree>,
    roots: HashMap<u64, u32>,
    vmids: HashMap<u16, u32>,
    stale_vmids: HashMap<u16, Stale>,
    locks: HashMap<u64, u64>,
    owners: HashMap<u64, u64>,
    records: Records,
    groups: HashMap<u32, Group>,
    next_group: u32,
    cpus: Cpus,
    smmu: Smmu,
    scratch: Vec<u32>,
    findings: Vec<Finding>,
    seen: HashMap<(Rule, u64, u64), usize>,
}

impl Checker {
    /// A checker that knows nothing of memory yet: all of it counts as zero until it is written.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            time: 0,
            memory: Memory::new(config.max_pages),
            trees: Vec::new(),
            roots: HashMap::new(),
            vmids: HashMap::new(),
            stale_vmids: HashMap::new(),
            locks: HashMap::new(),
            owners: HashMap::new(),
            records: Records::default(),
            groups: HashMap::new(),
            next_group: 0,
            cpus: Cpus::default(),
            smmu: Smmu::default(),
            scratch: Vec::new(),
            findings: Vec::new(),
            seen: HashMap::new(),
        }
    }

    /// What was found so far, each place in the code once, in order of its first time.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How many events it has judged.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.time
    }

    /// How many stores were not followed because [`Config::max_pages`] was reached. Not 0: the verdict is not whole.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.memory.lost
    }

    /// Live trees whose lock is not known: the root, and the first regime that walks it.
    pub fn without_lock(&self) -> impl Iterator<Item = (u64, Regime)> + '_ {
        let live = self.trees.iter().filter(|tree| tree.lock.is_none());
        live.filter_map(|tree| Some((tree.root, tree.cpu.or(tree.smmu.map(Regime::Smmu))?)))
    }

    /// Judges the next event.
    pub fn event(&mut self, event: &Event) {
        self.time += 1;
        let at = Site { seq: event.seq, pc: event.pc, cpu: event.cpu };
        match event.kind {
            Kind::Store { pa, value, size, release } => self.store(at, pa, value, size, release),
            Kind::MemInit { pa, size } => self.fill(at, pa, size, 0),
            Kind::MemSet { pa, size, value } => {
                self.fill(at, pa, u64::from(size), u64::from_ne_bytes([value; 8]));
            }
            Kind::MemFree { pa, size } => self.free(at, pa, size),
            Kind::Barrier(barrier) => self.barrier(at, barrier),
            Kind::Tlbi { op, operand } => self.tlbi(at, op, operand),
            Kind::SysregWrite { reg, value } => self.sysreg(at, reg, value),
            Kind::SysregRead { reg: Sysreg::IdAa64mmfr2El1, value } => {
                self.config.cpu_bbm = (value >> 52 & 0xf) as u8;
            }
            Kind::SmmuWrite { offset, size, value } => self.smmu_write(at, offset, size, value),
            Kind::SmmuRead { offset, size, value } => self.smmu_read(offset, size, value),
            Kind::Command(command) => self.bare_command(command),
            Kind::Synced => self.bare_synced(),
            Kind::Lock { address } | Kind::Trylock { address } => self.cpus.of(at.cpu).locks.push(address),
            Kind::Unlock { address } => self.unlock(at, address),
            Kind::Enter => self.cpus.of(at.cpu).inside = true,
            Kind::Load { pa, .. } => self.load(at, pa),
            Kind::Return => self.returned(at),
            Kind::Hint { kind, location, value } => self.hint(at, kind, location, value),
            Kind::SysregRead { .. } | Kind::Op { .. } => {}
        }
    }

    /// A load, between entry and return, from memory that the other side may write meanwhile: what was checked in
    /// one copy must not be used from another. The same instruction may come by again, for another request.
    fn load(&mut self, at: Site, pa: u64) {
        let cpu = self.cpus.of(at.cpu);
        if !cpu.inside {
            return;
        }
        let first = *cpu.loads.entry(pa).or_insert(at);
        if first.pc != at.pc {
            let what = "read a second time: it may have changed since it was looked at".to_owned();
            let missing = "one copy that is checked and used".to_owned();
            self.report(Rule::DoubleFetch, Subject::Foreign { pa }, at, Some(first), what, missing);
        }
    }

    fn store(&mut self, at: Site, pa: u64, value: u64, size: u8, release: bool) {
        self.queue_store(at, pa);
        let time = self.time;
        let Some(page) = self.memory.page_mut(pa) else { return };
        let slot = &mut page.data[(pa / 8 % 512) as usize];
        let (bits, shift) = (u32::from(size.min(8)) * 8, (pa % 8) as u32 * 8);
        let mask = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
        let (old, new) = (*slot, *slot & !(mask << shift) | (value & mask) << shift);
        *slot = new;
        let last = page.last.replace((at.cpu, time));
        match page.role {
            Role::Plain => self.stream_store(at, pa & !7, old, new, release, last),
            Role::Table(place) => self.entry_store(at, place, pa & !7, old, new, release),
            Role::Detached(_) => {
                let what = "a page that left its tree was written".to_owned();
                let missing = self.missing_of_page(pa);
                self.report(
                    Rule::TableReused,
                    Subject::Page { pa: pa & !(PAGE - 1) },
                    at,
                    None,
                    what,
                    missing,
                );
            }
        }
    }

    /// All dwords of a range get one value.
    fn fill(&mut self, at: Site, pa: u64, size: u64, value: u64) {
        let known = self.memory.known(pa, size);
        let end = pa.saturating_add(size);
        let first = pa & !(PAGE - 1);
        let next = |page: &u64| page.checked_add(PAGE).filter(|page| *page < end);
        let pages = match value {
            // What was never written is zero already.
            0 => known,
            _ => std::iter::successors(Some(first), next).take(self.config.max_pages).collect(),
        };
        for page in pages {
            if self.memory.role(page) == Role::Plain
                && page >= pa
                && page.saturating_add(PAGE) <= end
                && !self.smmu.watches(page)
            {
                if let Some(page) = self.memory.page_mut(page) {
                    page.data.fill(value);
                }
                continue;
            }
            for slot in (page.max(pa)..end.min(page.saturating_add(PAGE))).step_by(8) {
                if self.memory.read(slot) != value {
                    self.store(at, slot, value, 8, false);
                }
            }
        }
    }

    fn free(&mut self, at: Site, pa: u64, size: u64) {
        for page in self.memory.known(pa, size) {
            let role = self.memory.role(page);
            if role != Role::Plain {
                let what = match role {
                    Role::Detached(_) => "a page that left its tree was freed",
                    _ => "a table that walks reach was freed",
                };
                let missing = self.missing_of_page(page);
                self.report(Rule::FreedTable, Subject::Page { pa: page }, at, None, what.to_owned(), missing);
            }
        }
    }

    fn barrier(&mut self, at: Site, barrier: Barrier) {
        let time = self.time;
        let cpu = self.cpus.of(at.cpu);
        match barrier {
            Barrier::Isb => {}
            Barrier::Dmb(option) => {
                if option.stores() {
                    cpu.ordered = time;
                }
            }
            Barrier::Dsb(option) => {
                if option.stores() {
                    (cpu.ordered, cpu.dsb, cpu.publish) = (time, time, None);
                    if option.shared() {
                        cpu.dsb_shared = time;
                    }
                }
                if option.full() {
                    self.complete(at, option.shared());
                    self.complete_vmids(at, option.shared());
                }
            }
        }
    }

    fn unlock(&mut self, at: Site, address: u64) {
        let cpu = self.cpus.of(at.cpu);
        if let Some(held) = cpu.locks.iter().rposition(|lock| *lock == address) {
            cpu.locks.remove(held);
        }
        if cpu.open > 0 {
            self.released(at, Some(address));
        }
    }

    fn returned(&mut self, at: Site) {
        let cpu = self.cpus.of(at.cpu);
        let publish = cpu.publish.take();
        cpu.inside = false;
        cpu.loads.clear();
        if cpu.open > 0 {
            self.released(at, None);
        }
        if let Some((since, subject)) = publish {
            let what = format!("the CPU returned to EL1 (event {}); the entry was made valid here", at.seq);
            self.report(
                Rule::Unpublished,
                subject,
                since,
                None,
                what,
                "DSB ISHST after the store".to_owned(),
            );
        }
        self.streams_returned(at);
    }

    /// Nothing that `at.cpu` took away may still be cached; with a lock: in the trees of that lock.
    fn released(&mut self, at: Site, lock: Option<u64>) {
        let all: Vec<u32> = self.records.all().collect();
        for id in all {
            let Some(record) = self.records.get(id) else { continue };
            let tree = &self.trees[record.tree as usize];
            if record.reported || record.by.cpu != at.cpu || lock.is_some() && tree.lock != lock {
                continue;
            }
            let end =
                if lock.is_some() { "the tree's lock was given back" } else { "the CPU returned to EL1" };
            let what =
                format!("{} here, and {end} (event {}) before it was gone everywhere", record.what, at.seq);
            let (subject, by) = (self.subject_of(record), record.by);
            let missing = self.missing(record);
            self.report(Rule::ReleasedUnclean, subject, by, None, what, missing);
            if let Some(record) = self.records.get_mut(id) {
                record.reported = true;
            }
            self.cpus.of(at.cpu).open -= 1;
        }
    }

    fn hint(&mut self, at: Site, kind: HintKind, location: u64, value: u64) {
        match kind {
            HintKind::SetRootLock => {
                self.locks.insert(location, value);
                if let Some(tree) = self.roots.get(&location) {
                    self.trees[*tree as usize].lock = Some(value);
                }
            }
            HintKind::SetPteThreadOwner => {
                self.owners.insert(location, value);
            }
            HintKind::ReleaseTable => self.release_table(at, location),
            HintKind::SetOwnerRoot => {}
        }
    }

    /// Adds a finding, or counts it when that place in the code broke that rule before. Where the code is not
    /// known, the place in memory stands for it.
    fn report(
        &mut self,
        rule: Rule,
        subject: Subject,
        at: Site,
        since: Option<Site>,
        what: String,
        missing: String,
    ) {
        let place = match subject {
            Subject::Entry { pa, .. } | Subject::Page { pa } | Subject::Foreign { pa } => pa,
            Subject::Stream(sid) => u64::from(sid),
            Subject::Context { sid, ssid } => u64::from(sid) << 32 | u64::from(ssid),
            Subject::Command(index) => index,
        };
        let key = (rule, at.pc, if at.pc == 0 { place } else { 0 });
        if let Some(index) = self.seen.get(&key) {
            self.findings[*index].count += 1;
            return;
        }
        self.seen.insert(key, self.findings.len());
        self.findings.push(Finding { rule, subject, at, since, what, missing, count: 1 });
    }
}
