//! Stream table entries: valid-bit order, hitless steps, CFGI (IHI 0070, 3.21.3), and the stage-2 tables they give life to.
//!
//! The SMMU may have read any dword of an entry that was valid at any time since the last CFGI of it was complete. So
//! a live entry may differ in one dword at most from what was there then.

use parallax_smmu::Ste;
use parallax_vmsa::Stage;

use super::Checker;
use super::change;
use super::finding::{Rule, Site, Subject};
use super::memory::PAGE;
use super::unclean::SmmuStep;

/// What the SMMU may still hold of an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    /// Dwords that changed since it was clean.
    changed: u8,
    /// It was valid at some time since it was clean.
    valid: bool,
    step: SmmuStep,
    time: u64,
    by: Site,
    reported: bool,
}

impl Checker {
    /// Finds the arrays of stream table entries; of two levels, those whose level-1 descriptors are written.
    pub(super) fn find_streams(&mut self, at: Site) {
        let cfg = self.smmu.strtab_cfg;
        let base = self.smmu.strtab_base & 0x000f_ffff_ffff_ffc0;
        let (log2, split) = (cfg & 0x3f, cfg >> 6 & 0x1f);
        self.smmu.arrays.clear();
        self.smmu.level1 = (0, 0);
        if base == 0 || log2 > 32 {
            return;
        }
        if cfg >> 16 & 0b11 == 0b01 && matches!(split, 6 | 8 | 10) {
            let end = base + (8_u64 << log2.saturating_sub(split));
            self.smmu.level1 = (base, end);
            for page in self.memory.known(base, end - base) {
                for slot in (page.max(base)..end.min(page + PAGE)).step_by(8) {
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
        self.smmu.arrays.retain(|_, (_, sid)| u64::from(*sid) != first);
        if span != 0 && span <= u64::from(split) + 1 && first <= u64::from(u32::MAX) {
            self.smmu.arrays.insert(base, (base + (64 << (span - 1)), first as u32));
            if self.smmu.enabled {
                self.streams_in(at, base, base + (64 << (span - 1)), first as u32);
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
            for pa in (page.max(base)..end.min(page + PAGE)).step_by(64) {
                self.give_life(at, first.wrapping_add(((pa - base) / 64) as u32), pa);
            }
        }
    }

    /// SMMUEN became 0: nothing is translated, and what was cached is dropped before it is set again.
    pub(super) fn streams_disabled(&mut self) {
        self.smmu.enabled = false;
        self.smmu.streams.clear();
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

    /// The table that a valid entry points to is live from here on.
    fn give_life(&mut self, at: Site, sid: u32, pa: u64) {
        let Ok(Some(regime)) = self.ste(pa).stage2(&self.smmu.idr5) else { return };
        let nested = self.ste(pa).config().stage1();
        let vmid = match regime.stage {
            Stage::Two(controls) => controls.vmid,
            Stage::One(_) => return,
        };
        let root = regime.root & !(PAGE - 1);
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

    fn ste(&self, pa: u64) -> Ste {
        Ste(std::array::from_fn(|dword| self.memory.read(pa + 8 * dword as u64)))
    }

    /// A store to memory that is no translation table: it may be part of the stream table.
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
        let Some((base, (end, first))) = self.smmu.arrays.range(..=pa).next_back() else { return };
        if pa >= *end {
            return;
        }
        let (sid, start) = (first.wrapping_add(((pa - base) / 64) as u32), pa & !63);
        let dword = pa / 8 % 8;
        // Config 0b0xx, abort, uses dword 0 alone (5.2): the others may be prepared behind it.
        let valid = if dword == 0 { old & 1 != 0 } else { self.memory.read(start) & 0b1001 == 0b1001 };
        let (subject, bit) = (Subject::Stream(sid), 1_u8 << dword);
        let cfgi = "CMD_CFGI_STE and CMD_SYNC consumed".to_owned();
        let stream = self.smmu.streams.get(&sid).copied();
        let held = stream.filter(|stream| stream.valid);
        let since = stream.map(|stream| stream.by);
        let changed = stream.map_or(0, |stream| stream.changed);
        if valid && new & 1 == 0 && dword == 0 {
            // Clearing V stops whatever the other dwords say.
        } else if valid && (changed & !bit) != 0 {
            let what =
                format!("dword {dword} written, and another one since the last CFGI, while it is valid");
            self.report(Rule::SteLive, subject, at, since, what, cfgi);
        } else if !valid && held.is_some() {
            let what =
                format!("dword {dword} written after V was cleared, while the SMMU may hold the valid entry");
            self.report(Rule::SteEarly, subject, at, since, what, cfgi);
        } else if !valid && dword == 0 && new & 1 != 0 {
            let ordered = self.cpus.get(at.cpu).map_or(0, |cpu| cpu.ordered);
            let body = changed & !1 != 0 && last.is_some_and(|(cpu, time)| cpu == at.cpu && time > ordered);
            if body && !release {
                let what = "made valid by a plain store right after stores to its other dwords".to_owned();
                let missing = "store-release, or a barrier between".to_owned();
                self.report(Rule::SteValidFirst, subject, at, since, what, missing);
            }
        }
        let live = valid || (dword == 0 && new & 1 != 0);
        self.stream_changed(at, sid, bit, live, valid);
        if live {
            self.give_life(at, sid, start);
        }
    }

    fn stream_changed(&mut self, at: Site, sid: u32, bit: u8, live: bool, was_valid: bool) {
        let time = self.time;
        let stream = self.smmu.streams.entry(sid).or_insert(Stream {
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

    /// CMD_CFGI_STE and its relatives.
    pub(super) fn cfgi(&mut self, first: u32, count: u64) {
        let end = u64::from(first) + count;
        let mut sids: Vec<u32> = if count == 1 {
            vec![first]
        } else {
            let all = self.smmu.streams.keys().copied();
            all.filter(|sid| (u64::from(first)..end).contains(&u64::from(*sid))).collect()
        };
        sids.sort_unstable();
        for sid in sids {
            let Some(stream) = self.smmu.streams.get_mut(&sid) else { continue };
            let visible = self.cpus.get(stream.by.cpu).is_some_and(|cpu| cpu.dsb_shared > stream.time);
            if visible && stream.step == SmmuStep::Stored {
                stream.step = SmmuStep::Sent { done: true };
                self.smmu.cfgi.push(sid);
            }
        }
    }

    pub(super) fn cfgi_sync(&mut self, index: u64) {
        for sid in &self.smmu.cfgi {
            if let Some(stream) = self.smmu.streams.get_mut(sid)
                && matches!(stream.step, SmmuStep::Sent { .. })
            {
                stream.step = SmmuStep::Synced { sync: index, done: true };
            }
        }
    }

    pub(super) fn cfgi_consumed(&mut self, cons: u64) {
        for sid in std::mem::take(&mut self.smmu.cfgi) {
            let Some(stream) = self.smmu.streams.get(&sid) else { continue };
            match stream.step {
                SmmuStep::Synced { sync, .. } if sync < cons => {
                    self.smmu.streams_open -= usize::from(!stream.reported);
                    self.smmu.streams.remove(&sid);
                }
                SmmuStep::Stored => {}
                _ => self.smmu.cfgi.push(sid),
            }
        }
    }

    /// A CPU returned to EL1: the entries that it changed must be clean.
    pub(super) fn streams_returned(&mut self, at: Site) {
        if self.smmu.streams_open == 0 {
            return;
        }
        let late = |stream: &Stream| !stream.reported && stream.by.cpu == at.cpu;
        let mut sids: Vec<u32> =
            self.smmu.streams.iter().filter(|(_, stream)| late(stream)).map(|(sid, _)| *sid).collect();
        sids.sort_unstable();
        for sid in sids {
            let Some(stream) = self.smmu.streams.get_mut(&sid) else { continue };
            stream.reported = true;
            let by = stream.by;
            self.smmu.streams_open -= 1;
            let what = format!(
                "written here, and the CPU returned to EL1 (event {}) before the SMMU had dropped it",
                at.seq
            );
            let missing = "DSB, CMD_CFGI_STE and CMD_SYNC consumed".to_owned();
            self.report(Rule::SteUnclean, Subject::Stream(sid), by, None, what, missing);
        }
    }
}
