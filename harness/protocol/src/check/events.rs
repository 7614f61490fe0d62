//! What each kind of event does.

use parallax_addr::{PAGE_SIZE, PhysAddr};

use super::attempt::Missing;
use super::checker::Checker;
use super::finding::{Site, Subject};
use super::memory::Role;
use super::rule::Rule;
use crate::event::{Barrier, Event, HintKind, Kind};

impl Checker {
    /// Judges the next event.
    pub fn event(&mut self, event: &Event) {
        self.time += 1;
        let at = Site { seq: event.seq, pc: event.pc, cpu: event.cpu };
        match event.kind {
            Kind::Store { pa, value, size, release } => self.store(at, pa.get(), value, size, release),
            Kind::Touch { pa } => self.dirtied(at, pa.get()),
            Kind::MemInit { pa, size } => self.fill(at, pa.get(), size, 0),
            Kind::MemSet { pa, size, value } => {
                self.fill(at, pa.get(), u64::from(size), u64::from_ne_bytes([value; 8]));
            }
            Kind::MemFree { pa, size } => self.free(at, pa.get(), size),
            Kind::Barrier(barrier) => self.barrier(at, barrier),
            Kind::Tlbi { op, operand } => self.tlbi(at, op, operand),
            Kind::SysregWrite { reg, value } => self.sysreg(at, reg, value),
            Kind::SysregRead { reg, value } => self.sysreg_read(at, reg, value),
            Kind::SmmuWrite { offset, size, value } => {
                self.smmu_write(at, offset, size, value);
                self.smmu_base(at, offset, size, value);
            }
            Kind::GicWrite { register, frame, value } => {
                self.gic_base(at, register, value);
                self.gic_write(at, register, frame.get(), value);
            }
            Kind::GicRead { register, frame, value } => self.gic_read(at, register, frame.get(), value),
            Kind::SmmuRead { offset, size, value } => self.smmu_read(at, offset, size, value),
            Kind::Command(command) => self.bare_command(at, command),
            Kind::Synced => self.bare_synced(),
            Kind::Lock { address } => self.lock(at, address, true),
            Kind::Trylock { address } => self.lock(at, address, false),
            Kind::Unlock { address } => self.unlock(at, address),
            Kind::Enter => {
                let cpu = self.cpus.of(at.cpu);
                (cpu.inside, cpu.esr) = (true, None);
                cpu.moves.clear();
            }
            Kind::Load { pa, .. } => self.load(at, pa.get()),
            Kind::Return => self.returned(at),
            Kind::Hint { kind, location, value } => self.hint(at, kind, location, value),
            Kind::Dc { op, operand } => self.dc(at, op, operand),
            Kind::Smc { function, entry, context } => {
                self.smc_allowed(at, function.into(), entry);
                self.smc(at, function.into(), context);
            }
            Kind::Op { .. } => {}
        }
    }

    /// A load, between entry and return, from memory that the other side may write meanwhile: what was checked in
    /// one copy must not be used from another. The same instruction may come by again, for another request.
    fn load(&mut self, at: Site, pa: u64) {
        self.used(at, pa);
        self.event_read(at, pa);
        let cpu = self.cpus.of(at.cpu);
        if !cpu.inside {
            return;
        }
        let first = *cpu.loads.entry(pa).or_insert(at);
        if first.pc != at.pc {
            let what = "read a second time: it may have changed since it was looked at".to_owned();
            let missing = "one copy that is checked and used".to_owned();
            self.report(
                Rule::DoubleFetch,
                Subject::Foreign { pa: PhysAddr::new(pa) },
                at,
                Some(first),
                what,
                missing,
            );
        }
    }

    fn store(&mut self, at: Site, pa: u64, value: u64, size: u8, release: bool) {
        self.used(at, pa);
        self.dirtied(at, pa);
        self.queue_store(at, pa);
        self.guarded_store(at, pa);
        let time = self.time;
        let Some(page) = self.memory.page_mut(pa) else { return };
        let slot = &mut page.data[(pa / 8 % 512) as usize];
        let (bits, shift) = (u32::from(size.min(8)) * 8, (pa % 8) as u32 * 8);
        let mask = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
        let (old, new) = (*slot, *slot & !(mask << shift) | (value & mask) << shift);
        *slot = new;
        let last = page.last.replace((at.cpu, time));
        let role = page.role;
        self.gic.stored(at.cpu, pa, time);
        if self.gic.holds_anything() || self.smmu.live.has_events() {
            self.state_stored(at, pa & !7, old, new);
        }
        match role {
            Role::Plain => self.stream_store(at, pa & !7, old, new, release, last),
            Role::Table(place) => self.entry_store(at, place, pa & !7, old, new, release),
            Role::Detached(_) => {
                let what = "a page that left its tree was written".to_owned();
                let missing = self.missing_of_page(pa);
                self.report(
                    Rule::TableReused,
                    Subject::Page { pa: PhysAddr::new(pa & !(PAGE_SIZE - 1)) },
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
        let first = pa & !(PAGE_SIZE - 1);
        let next = |page: &u64| page.checked_add(PAGE_SIZE).filter(|page| *page < end);
        let pages = match value {
            // What was never written is zero already.
            0 => known,
            _ => std::iter::successors(Some(first), next).take(self.config.max_pages).collect(),
        };
        for page in pages {
            if self.memory.role(page) == Role::Plain
                && page >= pa
                && page.saturating_add(PAGE_SIZE) <= end
                && !self.smmu.watches(page)
            {
                if let Some(page) = self.memory.page_mut(page) {
                    page.data.fill(value);
                }
                continue;
            }
            for slot in (page.max(pa)..end.min(page.saturating_add(PAGE_SIZE))).step_by(8) {
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
                self.report(
                    Rule::FreedTable,
                    Subject::Page { pa: PhysAddr::new(page) },
                    at,
                    None,
                    what.to_owned(),
                    missing,
                );
            }
        }
    }

    fn barrier(&mut self, at: Site, barrier: Barrier) {
        let time = self.time;
        let cpu = self.cpus.of(at.cpu);
        match barrier {
            Barrier::Isb => {
                cpu.unsynchronised = None;
                cpu.fresh.isb();
            }
            Barrier::Dmb(option) => {
                if option.loads() && option.shared() {
                    cpu.loads_ordered = time;
                }
                if option.stores() {
                    cpu.ordered = time;
                }
            }
            Barrier::Dsb(option) => {
                self.lines.dsb(at.cpu, option);
                let cpu = self.cpus.of(at.cpu);
                if option.loads() && option.shared() {
                    cpu.loads_ordered = time;
                }
                if option.stores() {
                    (cpu.ordered, cpu.dsb, cpu.publish) = (time, time, None);
                    cpu.fresh.dsb();
                    if option.shared() {
                        cpu.dsb_shared = time;
                    }
                }
                if option.full() {
                    self.complete(at, option.shared());
                    self.complete_vmids(at, option.shared());
                    self.complete_inherited(at);
                }
            }
        }
    }

    fn returned(&mut self, at: Site) {
        let cpu = self.cpus.of(at.cpu);
        let publish = cpu.publish.take();
        cpu.inside = false;
        cpu.loads.clear();
        cpu.fresh.forget();
        if cpu.open > 0 {
            self.released(at, None);
        }
        if let Some((since, subject)) = publish {
            let what = "the CPU returned to EL1; the entry was made valid here".to_owned();
            let missing = Missing::until(at, "DSB ISHST after the store");
            self.report(Rule::Unpublished, subject, since, None, what, missing);
        }
        self.host_started(at);
        self.judge_owners(at.cpu);
        self.streams_returned(at);
        self.inherited_returned(at);
        self.locks_returned(at);
    }

    /// Nothing that `at.cpu` took away may still be cached; with a lock: in the trees of that lock.
    pub(super) fn released(&mut self, at: Site, lock: Option<u64>) {
        let all: Vec<u32> = self.records.all().collect();
        for id in all {
            let Some(record) = self.records.get(id) else { continue };
            let tree = &self.trees[record.tree as usize];
            if record.reported || record.by.cpu != at.cpu || lock.is_some() && tree.lock != lock {
                continue;
            }
            let end =
                if lock.is_some() { "the tree's lock was given back" } else { "the CPU returned to EL1" };
            let what = format!("{} here, and {end} before it was gone everywhere", record.what);
            let (subject, by) = (self.subject_of(record), record.by);
            let missing = Missing { until: Some(at), ..self.missing(record) };
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
            HintKind::SetPageLock => self.guards.entry(location / PAGE_SIZE).or_default().push(value),
            HintKind::SetImage => self.areas.image = Some((location, value)),
            HintKind::SetPool => self.areas.pool = Some((location, value)),
            HintKind::SetCommandQueue => self.areas.commands = Some((location, value)),
            HintKind::SetEventQueue => self.areas.events = Some((location, value)),
            HintKind::SetTree => self.areas.tree = Some((location, value)),
            HintKind::SetPageStates => self.areas.page_states = Some((location, value)),
            HintKind::ReleaseTable => self.release_table(at, location),
            HintKind::SetOwnerRoot => {}
        }
    }
}
