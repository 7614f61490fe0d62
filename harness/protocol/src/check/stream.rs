//! Stream table entries and context descriptors: valid-bit order, hitless steps, CFGI (IHI 0070, 3.21.3), and the
//! stage-2 tables that stream table entries give life to.
//!
//! The SMMU may have read any dword of an entry that was valid at any time since the last CFGI of it was complete. So
//! a live entry may differ in one dword at most from what was there then.

use parallax_addr::PAGE_SIZE;
use parallax_smmu::Ste;
use parallax_vmsa::Stage;

use super::attempt::Missing;
use super::change;
use super::checker::Checker;
use super::finding::{Site, Subject};
use super::rule::Rule;
use super::structure::{Stream, Structure};
use super::unclean::SmmuStep;

impl Checker {
    /// Finds the arrays of stream table entries; of two levels, those whose level-1 descriptors are written.
    pub(super) fn find_streams(&mut self, at: Site) {
        let cfg = self.smmu.strtab_cfg;
        let base = self.smmu.strtab_base & 0x000f_ffff_ffff_ffc0;
        let (log2, split) = (cfg & 0x3f, cfg >> 6 & 0x1f);
        self.smmu.arrays.clear();
        self.smmu.contexts.clear();
        self.smmu.level1 = (0, 0);
        if base == 0 || log2 > 32 {
            return;
        }
        if cfg >> 16 & 0b11 == 0b01 && matches!(split, 6 | 8 | 10) {
            let end = base + (8_u64 << log2.saturating_sub(split));
            self.smmu.level1 = (base, end);
            for page in self.memory.known(base, end - base) {
                for slot in (page.max(base)..end.min(page + PAGE_SIZE)).step_by(8) {
                    self.level1_store(at, slot, self.memory.read(slot));
                }
            }
        } else {
            self.smmu.arrays.insert(base, (base + (64_u64 << log2), 0));
        }
        if self.smmu.enabled {
            self.streams_enabled(at);
        }
    }

    /// A level-1 descriptor: where the entries of its streams are.
    fn level1_store(&mut self, at: Site, pa: u64, value: u64) {
        let split = self.smmu.strtab_cfg >> 6 & 0x1f;
        let first = ((pa - self.smmu.level1.0) / 8) << split;
        let base = value & 0x000f_ffff_ffff_ffc0;
        let span = value & 0x1f;
        let before = self.smmu.arrays.iter().find(|(_, (_, sid))| u64::from(*sid) == first);
        if let Some((old, (end, sid))) = before.map(|(base, rest)| (*base, *rest))
            && (old, end - old) != (base, if span == 0 { 0 } else { 64 << (span - 1) })
        {
            self.streams_swung(at, old, end, sid);
        }
        self.smmu.arrays.retain(|_, (_, sid)| u64::from(*sid) != first);
        if span != 0 && span <= u64::from(split) + 1 && first <= u64::from(u32::MAX) {
            self.smmu.arrays.insert(base, (base + (64 << (span - 1)), first as u32));
            if self.smmu.enabled {
                self.streams_in(at, base, base + (64 << (span - 1)), first as u32);
            }
        }
    }

    /// The entries between `base` and `end` are no longer those of the streams from `first` on: the SMMU may hold the valid
    /// ones until a CFGI of each.
    fn streams_swung(&mut self, at: Site, base: u64, end: u64, first: u32) {
        if !self.smmu.enabled {
            return;
        }
        for page in self.memory.known(base, end - base) {
            for pa in (page.max(base)..end.min(page + PAGE_SIZE)).step_by(64) {
                let structure = Structure::Ste(first.wrapping_add(((pa - base) / 64) as u32));
                if structure.v(self.memory.read(pa)) {
                    self.stream_changed(at, structure, u8::MAX, true, true);
                }
            }
        }
    }

    /// SMMUEN became 1: every valid entry is live.
    pub(super) fn streams_enabled(&mut self, at: Site) {
        let arrays: Vec<(u64, (u64, u32))> =
            self.smmu.arrays.iter().map(|(base, rest)| (*base, *rest)).collect();
        for (base, (end, first)) in arrays {
            self.streams_in(at, base, end, first);
        }
    }

    fn streams_in(&mut self, at: Site, base: u64, end: u64, first: u32) {
        for page in self.memory.known(base, end - base) {
            for pa in (page.max(base)..end.min(page + PAGE_SIZE)).step_by(64) {
                self.give_life(at, first.wrapping_add(((pa - base) / 64) as u32), pa);
            }
        }
    }

    /// SMMUEN became 0: nothing is translated, and what was cached is dropped before it is set again.
    pub(super) fn streams_disabled(&mut self) {
        self.smmu.enabled = false;
        self.smmu.streams.clear();
        self.smmu.contexts.clear();
        (self.smmu.streams_open, self.smmu.cfgi) = (0, Vec::new());
        self.smmu.vmids.clear();
        let ids: Vec<u32> = self.records.all().collect();
        for id in ids {
            if let Some(record) = self.records.get_mut(id) {
                record.smmu = None;
                if record.cpu.is_none() {
                    self.drop_record(id);
                }
            }
        }
        for tree in &mut self.trees {
            (tree.smmu, tree.nested) = (None, false);
        }
    }

    /// The tables that a valid entry points to are live from here on.
    fn give_life(&mut self, at: Site, sid: u32, pa: u64) {
        self.find_contexts(sid, pa);
        let Ok(Some(regime)) = self.ste(pa).stage2(&self.smmu.idr5) else { return };
        let nested = self.ste(pa).config().stage1();
        let vmid = match regime.stage {
            Stage::Two(controls) => controls.vmid,
            Stage::One(_) => return,
        };
        let root = regime.root.page().get();
        let geometry = (regime.start.number(), regime.root_tables());
        let id = self.register(at, root, change::Stage::Two, geometry);
        if let Some(other) = self.smmu.vmids.insert(vmid, id).filter(|other| *other != id) {
            let other = self.trees[other as usize].root;
            let what = format!("VMID {vmid} of the SMMU is in use for the root at {other:#x}");
            let missing = "a VMID of its own for each stage-2 table".to_owned();
            self.report(Rule::VmidDuplicate, Subject::Stream(sid), at, None, what, missing);
        }
        let tree = &mut self.trees[id as usize];
        tree.smmu = Some(vmid);
        tree.nested |= nested;
    }

    pub(super) fn ste(&self, pa: u64) -> Ste {
        Ste(std::array::from_fn(|dword| self.memory.read(pa + 8 * dword as u64)))
    }

    /// A store to memory that is no translation table: it may be part of the stream table, or of context descriptors.
    pub(super) fn stream_store(
        &mut self,
        at: Site,
        pa: u64,
        old: u64,
        new: u64,
        release: bool,
        last: Option<(u16, u64)>,
    ) {
        if (self.smmu.level1.0..self.smmu.level1.1).contains(&pa) {
            return self.level1_store(at, pa, new);
        }
        if !self.smmu.enabled || old == new {
            return;
        }
        let array = self.smmu.arrays.range(..=pa).next_back().filter(|(_, (end, _))| pa < *end);
        let entry = array
            .map(|(base, (_, first))| Structure::Ste(first.wrapping_add(((pa - base) / 64) as u32)))
            .or_else(|| self.smmu.contexts.at(pa));
        let Some(structure) = entry else { return };
        let (start, dword) = (pa & !63, pa / 8 % 8);
        let valid = if dword == 0 { structure.v(old) } else { structure.uses_all(self.memory.read(start)) };
        let made = dword == 0 && structure.v(new);
        let (subject, bit, rules) = (structure.subject(), 1_u8 << dword, structure.rules());
        let cfgi = format!("{} and CMD_SYNC consumed", rules.command);
        let stream = self.smmu.streams.get(&structure).copied();
        let held = stream.filter(|stream| stream.valid);
        let since = stream.map(|stream| stream.by);
        let changed = stream.map_or(0, |stream| stream.changed);
        if valid && dword == 0 && !made {
            // Clearing V stops whatever the other dwords say.
        } else if valid && (changed & !bit) != 0 {
            let what =
                format!("dword {dword} written, and another one since the last CFGI, while it is valid");
            self.report(rules.live, subject, at, since, what, cfgi);
        } else if !valid && held.is_some() {
            let what =
                format!("dword {dword} written after V was cleared, while the SMMU may hold the valid entry");
            self.report(rules.early, subject, at, since, what, cfgi);
        } else if !valid && made {
            let ordered = self.cpus.get(at.cpu).map_or(0, |cpu| cpu.ordered);
            let body = changed & !1 != 0 && last.is_some_and(|(cpu, time)| cpu == at.cpu && time > ordered);
            if body && !release {
                let what = "made valid by a plain store right after stores to its other dwords".to_owned();
                let missing = "store-release, or a barrier between".to_owned();
                self.report(rules.valid_first, subject, at, since, what, missing);
            }
        }
        let live = valid || made;
        self.stream_changed(at, structure, bit, live, valid);
        if let Structure::Ste(sid) = structure
            && live
        {
            self.give_life(at, sid, start);
        }
    }

    fn stream_changed(&mut self, at: Site, structure: Structure, bit: u8, live: bool, was_valid: bool) {
        let time = self.time;
        let stream = self.smmu.streams.entry(structure).or_insert(Stream {
            changed: 0,
            valid: false,
            step: SmmuStep::Stored,
            time,
            by: at,
            reported: true,
        });
        // The change from invalid to valid begins a new count: the dwords before it belong to no valid entry.
        stream.changed = if live && !was_valid { 0 } else { stream.changed | bit };
        stream.valid |= live;
        (stream.step, stream.time, stream.by) = (SmmuStep::Stored, time, at);
        if stream.reported && live {
            stream.reported = false;
            self.smmu.streams_open += 1;
        }
    }

    /// CMD_CFGI_STE, CMD_CFGI_CD and their relatives.
    pub(super) fn cfgi(&mut self, covers: impl Fn(Structure) -> bool) {
        let mut structures: Vec<Structure> =
            self.smmu.streams.keys().copied().filter(|structure| covers(*structure)).collect();
        structures.sort_unstable();
        for structure in structures {
            let Some(stream) = self.smmu.streams.get_mut(&structure) else { continue };
            let visible = self.cpus.get(stream.by.cpu).is_some_and(|cpu| cpu.dsb_shared > stream.time);
            if visible && stream.step == SmmuStep::Stored {
                stream.step = SmmuStep::Sent { done: true };
                self.smmu.cfgi.push(structure);
            }
        }
    }

    pub(super) fn cfgi_sync(&mut self, index: u64) {
        for structure in &self.smmu.cfgi {
            if let Some(stream) = self.smmu.streams.get_mut(structure)
                && matches!(stream.step, SmmuStep::Sent { .. })
            {
                stream.step = SmmuStep::Synced { sync: index, done: true };
            }
        }
    }

    pub(super) fn cfgi_consumed(&mut self, cons: u64) {
        for structure in std::mem::take(&mut self.smmu.cfgi) {
            let Some(stream) = self.smmu.streams.get(&structure) else { continue };
            match stream.step {
                SmmuStep::Synced { sync, .. } if sync < cons => {
                    self.smmu.streams_open -= usize::from(!stream.reported);
                    self.smmu.streams.remove(&structure);
                    if let Structure::Ste(stream) = structure {
                        self.forget_contexts(stream);
                    }
                }
                SmmuStep::Stored => {}
                _ => self.smmu.cfgi.push(structure),
            }
        }
    }

    /// A CPU returned to EL1: the entries that it changed must be clean.
    pub(super) fn streams_returned(&mut self, at: Site) {
        if self.smmu.streams_open == 0 {
            return;
        }
        let late = |stream: &Stream| !stream.reported && stream.by.cpu == at.cpu;
        let mut structures: Vec<Structure> = self
            .smmu
            .streams
            .iter()
            .filter(|(_, stream)| late(stream))
            .map(|(structure, _)| *structure)
            .collect();
        structures.sort_unstable();
        for structure in structures {
            let Some(stream) = self.smmu.streams.get_mut(&structure) else { continue };
            stream.reported = true;
            let (by, time, step) = (stream.by, stream.time, stream.step);
            self.smmu.streams_open -= 1;
            let what = "written here, and the CPU returned to EL1 before the SMMU had dropped it".to_owned();
            let command = structure.rules().command;
            let early =
                matches!(step, SmmuStep::Sent { .. }).then(|| self.sync_before(time, command)).flatten();
            let missing = Missing::until(at, format!("DSB, {command} and CMD_SYNC consumed"));
            let missing = Missing { near: early, ..missing };
            self.report(structure.rules().unclean, structure.subject(), by, None, what, missing);
        }
    }
}
