//! The SMMU: its registers, the command queue, and TLBI commands (IHI 0070, chapters 3.5, 4 and 6).

use parallax_addr::PAGE_SIZE;
use parallax_smmu::command::{Command, CommandKind};
use parallax_smmu::idr::{Idr0, Idr5};

use super::attempt::Attempt;
use super::checker::Checker;
use super::event_queue::{EVENTQ_CONS, EVENTQ_PROD};
use super::finding::{Site, Subject};
use super::rule::Rule;
use super::smmu_state::Queue;
use super::structure::Structure;
use super::unclean::SmmuStep;

const IDR0: u32 = 0x00;
const IDR3: u32 = 0x0c;
const IDR5: u32 = 0x14;
const CR0: u32 = 0x20;
const CR0ACK: u32 = 0x24;
const GBPA: u32 = 0x44;
const GERRORN: u32 = 0x64;
const STRTAB_BASE: u32 = 0x80;
const STRTAB_BASE_CFG: u32 = 0x88;
const CMDQ_BASE: u32 = 0x90;
const CMDQ_PROD: u32 = 0x98;
const CMDQ_CONS: u32 = 0x9c;
const EVENTQ_BASE: u32 = 0xa0;
/// CMDQ_CONS.ERR.
const ERR: u32 = 0x7f << 24;

/// Base addresses: bits 51:5.
const ADDRESS: u64 = 0x000f_ffff_ffff_ffe0;

/// A 64-bit register with one access, or half of it, replaced.
fn merged(old: u64, half: u32, size: u8, value: u64) -> u64 {
    match (half, size) {
        (0, 8) => value,
        (0, _) => old >> 32 << 32 | value & 0xffff_ffff,
        _ => old & 0xffff_ffff | value << 32,
    }
}

impl Checker {
    pub(super) fn smmu_write(&mut self, at: Site, offset: u32, size: u8, value: u64) {
        self.base_written(at, offset);
        let smmu = &mut self.smmu;
        match offset {
            CR0 => {
                smmu.live.asked(value as u32);
                smmu.cmdqen = value >> 3 & 1 != 0;
                let enabled = value & 1 != 0;
                let before = smmu.smmuen.replace(enabled);
                // What nobody has looked at may be as firmware leaves it: on, and open. A log without an image may begin anywhere.
                let unknown = self.areas.image.is_some();
                let (on, open) = (before.unwrap_or(unknown), !smmu.gbpa_abort.unwrap_or(!unknown));
                if on && !enabled && open {
                    let is = if smmu.gbpa_abort.is_none() { "is not known to be 1" } else { "is 0" };
                    let what = format!("SMMUEN cleared while GBPA.ABORT {is}: every transaction passes");
                    let missing = "GBPA.ABORT set, and its Update seen 0".to_owned();
                    self.report(Rule::SmmuOpen, Subject::Register("SMMU_CR0"), at, None, what, missing);
                }
                if before != Some(true) && enabled {
                    self.smmu_used(at);
                }
                let smmu = &mut self.smmu;
                if enabled && !smmu.enabled {
                    smmu.enabled = true;
                    self.streams_enabled(at);
                } else if !enabled && smmu.enabled {
                    self.streams_disabled();
                }
            }
            STRTAB_BASE | 0x84 => {
                smmu.strtab_base = merged(smmu.strtab_base, offset & 4, size, value);
                self.find_streams(at);
            }
            STRTAB_BASE_CFG => {
                smmu.strtab_cfg = value as u32;
                self.find_streams(at);
            }
            CMDQ_BASE | 0x94 => {
                smmu.cmdq_base = merged(smmu.cmdq_base, offset & 4, size, value);
                let log2 = (smmu.cmdq_base as u32 & 0x1f).min(19);
                let base = smmu.cmdq_base & ADDRESS & !((16_u64 << log2) - 1);
                smmu.queue =
                    Some(Queue { base, log2, slots: vec![(Site { seq: 0, pc: 0, cpu: 0 }, 0); 1 << log2] });
                self.reset_indices(0);
            }
            EVENTQ_BASE | 0xa4 => smmu.eventq_base = merged(smmu.eventq_base, offset & 4, size, value),
            CMDQ_PROD => self.produce(at, value as u32),
            GERRORN => self.acknowledged(at, value as u32),
            _ if EVENTQ_CONS.contains(&offset) => self.events_given_back(at),
            CMDQ_CONS if !smmu.cmdqen => self.reset_indices(value as u32),
            _ => {}
        }
    }

    pub(super) fn smmu_read(&mut self, at: Site, offset: u32, size: u8, value: u64) {
        match offset {
            _ if EVENTQ_PROD.contains(&offset) => {
                self.cpus.of(at.cpu).eventq_prod = Some((self.time, at));
            }
            IDR0 => self.smmu.idr0 = Some(Idr0([value & 0xffff_ffff])),
            IDR3 => self.config.smmu_bbm = (value >> 11 & 3) as u8,
            CR0 => self.smmu.smmuen = Some(value & 1 != 0),
            CR0ACK => self.smmu.live.told(value as u32),
            GBPA if value >> 31 & 1 == 0 => self.smmu.gbpa_abort = Some(value >> 20 & 1 != 0),
            GERRORN => self.smmu.gerrorn = value as u32,
            IDR5 => self.smmu.idr5 = Idr5([value & 0xffff_ffff]),
            // A pair of registers read at once has CONS in the upper half.
            CMDQ_CONS => self.consume(value as u32),
            CMDQ_PROD if size == 8 => self.consume((value >> 32) as u32),
            _ => {}
        }
    }

    /// The queue begins anew at an index. The count of commands goes on, in the next round.
    fn reset_indices(&mut self, index: u32) {
        let smmu = &mut self.smmu;
        let Some(queue) = &smmu.queue else { return };
        let round = 2_u64 << queue.log2;
        let start = smmu.prod.next_multiple_of(round) + u64::from(index) % round;
        (smmu.prod, smmu.cons) = (start, start);
    }

    /// A store to memory that may be the queue's.
    pub(super) fn queue_store(&mut self, at: Site, pa: u64) {
        let smmu = &mut self.smmu;
        let Some(queue) = &mut smmu.queue else { return };
        let offset = pa.wrapping_sub(queue.base);
        if offset >= 16 << queue.log2 {
            return;
        }
        let slot = offset / 16;
        queue.slots[slot as usize] = (at, self.time);
        let size = 1_u64 << queue.log2;
        // The command of this slot that was given last, if it is still waiting.
        let ahead = (slot + size - smmu.cons % size) % size;
        let index = smmu.cons + ahead;
        // The SMMU stands still at a command that it refuses, until GERRORN is written: another may be put there (7.1).
        if index < smmu.prod && smmu.refused != Some(index) {
            let what = "written while the SMMU had not consumed it".to_owned();
            let missing = "CMDQ_CONS seen past it".to_owned();
            self.report(Rule::CommandOverwritten, Subject::Command(index), at, None, what, missing);
        }
    }

    /// CMDQ_PROD is written: everything up to it is given to the SMMU.
    fn produce(&mut self, at: Site, value: u32) {
        if !self.smmu.cmdqen {
            return self.reset_indices(value);
        }
        let Some(queue) = &self.smmu.queue else { return };
        let (base, size) = (queue.base, 1_u64 << queue.log2);
        let (first, round) = (self.smmu.prod, 2 * size);
        let count = (u64::from(value) % round + round - first % round) % round;
        if first + count - self.smmu.cons > size {
            let what = "CMDQ_PROD passes CMDQ_CONS: commands that wait are lost".to_owned();
            let missing = "CMDQ_CONS seen to have moved".to_owned();
            self.report(Rule::CommandOverwritten, Subject::Command(first), at, None, what, missing);
        }
        self.given(at, first..first + count, "CMDQ_PROD");
        for index in first..first + count.min(size) {
            let slot = base + index % size * 16;
            let command = [self.memory.read(slot), self.memory.read(slot + 8)];
            self.command(at, Command(command), index);
        }
        self.smmu.prod = first + count;
        self.smmu.cons = self.smmu.cons.max(self.smmu.prod.saturating_sub(size));
    }

    fn consume(&mut self, value: u32) {
        let Some(queue) = &self.smmu.queue else { return };
        let round = 2_u64 << queue.log2;
        let seen = u64::from(value & 0xf_ffff) % round;
        let cons = self.smmu.cons + (seen + round - self.smmu.cons % round) % round;
        self.smmu.refused = (value & ERR != 0 && cons < self.smmu.prod).then_some(cons);
        if cons <= self.smmu.prod && cons > self.smmu.cons {
            self.smmu.cons = cons;
            self.consumed(cons);
        }
    }

    /// [`crate::Kind::Command`]
    pub(super) fn bare_command(&mut self, at: Site, command: [u64; 2]) {
        if self.smmu.queue.is_none() {
            self.command(at, Command(command), self.smmu.prod);
            self.smmu.prod += 1;
        }
    }

    /// [`crate::Kind::Synced`]
    pub(super) fn bare_synced(&mut self) {
        if self.smmu.queue.is_none() {
            self.smmu.cons = self.smmu.prod;
            self.consumed(self.smmu.prod);
        }
    }

    fn command(&mut self, at: Site, command: Command, index: u64) {
        self.judge_command(at, command, index);
        let field = |name| command.field(name).unwrap_or_default();
        let vmid = field("VMID") as u16;
        match command.kind() {
            CommandKind::TlbiS2Ipa => {
                let pages = match field("TG") {
                    0 => 1,
                    _ => (field("NUM") + 1) << field("SCALE"),
                };
                let level = Some(field("TTL") as i8).filter(|ttl| *ttl != 0 && field("TG") != 0);
                let range = (field("Address"), pages << 12);
                self.command_tlbi(index, Some(vmid), Some(range), level, field("Leaf") != 0);
            }
            CommandKind::TlbiS12Vmall => self.command_tlbi(index, Some(vmid), None, None, false),
            CommandKind::TlbiNsnhAll => {
                self.command_inherited(false);
                self.command_tlbi(index, None, None, None, false);
            }
            CommandKind::TlbiNhAll => self.command_nested(vmid),
            CommandKind::CfgiSte => {
                let sid = field("StreamID") as u32;
                self.cfgi(|structure| structure.sid() == sid);
            }
            CommandKind::CfgiSteRange => {
                let log2 = field("Range") as u32 + 1;
                let first = u64::from(field("StreamID") as u32) & !((1_u64 << log2) - 1);
                let streams = first..first + (1 << log2);
                // CMD_CFGI_ALL.
                if log2 == 32 {
                    self.command_inherited(true);
                }
                self.cfgi(|structure| streams.contains(&structure.sid().into()));
            }
            CommandKind::CfgiCd => {
                let (sid, ssid) = (field("StreamID") as u32, field("SubstreamID") as u32);
                self.cfgi(|structure| structure == Structure::Cd { sid, ssid });
            }
            CommandKind::CfgiCdAll => {
                let all = field("StreamID") as u32;
                self.cfgi(|structure| matches!(structure, Structure::Cd { sid, .. } if sid == all));
            }
            CommandKind::Sync => {
                self.sync_given(at, index);
                self.sync_inherited(index);
                self.command_sync(index);
            }
            _ => {}
        }
    }

    fn command_tlbi(
        &mut self,
        index: u64,
        vmid: Option<u16>,
        range: Option<(u64, u64)>,
        level: Option<i8>,
        leaf_only: bool,
    ) {
        let mut ids = std::mem::take(&mut self.scratch);
        ids.clear();
        let known = vmid.map(|vmid| self.smmu.vmids.get(&vmid).copied());
        for tree in 0..self.trees.len() as u32 {
            // A VMID that nothing has reaches nothing: those that it passes by are told of it.
            let meant = known.is_none_or(|known| known.is_none_or(|known| known == tree));
            if self.trees[tree as usize].smmu.is_some() && meant {
                match range {
                    None => self.records.of_tree(tree, &mut ids),
                    Some((address, size)) => self.records.in_range(tree, address, size, &mut ids),
                }
            }
        }
        for id in &ids {
            let Some(record) = self.records.get_mut(*id) else { continue };
            let Some(step) = record.smmu else { continue };
            let visible = self.cpus.get(record.by.cpu).is_some_and(|cpu| cpu.dsb_shared > record.time);
            let wrong_level = level
                .is_some_and(|level| if record.leaf { level != record.level } else { level <= record.level });
            let why = if known == Some(None) {
                "has a VMID that no stream has"
            } else if !visible {
                "was given before the DSB that makes the store visible"
            } else if wrong_level {
                "has a level hint for another level"
            } else if leaf_only && !record.leaf {
                "leaves cached table entries alone"
            } else {
                let nested = self.trees[record.tree as usize].nested;
                if !matches!(step, SmmuStep::Sent { .. } | SmmuStep::Synced { .. }) {
                    record.smmu = Some(SmmuStep::Sent { done: !nested || range.is_none() });
                    self.smmu.sent.push((*id, record.time));
                }
                continue;
            };
            record.attempt = Some(Attempt::command(index, why));
        }
        self.scratch = ids;
    }

    /// CMD_TLBI_NH_ALL: what is left of combined entries goes.
    fn command_nested(&mut self, vmid: u16) {
        let Some(tree) = self.smmu.vmids.get(&vmid).copied() else { return };
        if !self.is_nested(tree) {
            self.trees[tree as usize].nested = false;
        }
        let mut ids = std::mem::take(&mut self.scratch);
        ids.clear();
        self.records.of_tree(tree, &mut ids);
        for id in &ids {
            if let Some(record) = self.records.get_mut(*id)
                && record.smmu == Some(SmmuStep::Stage2Done)
            {
                record.smmu = Some(SmmuStep::Sent { done: true });
                self.smmu.sent.push((*id, record.time));
            }
        }
        self.scratch = ids;
    }

    /// Whether a stage 1 may be nested over `tree` now, so that more combined entries can come: by an entry that is valid, or by one
    /// that the SMMU may still hold.
    fn is_nested(&self, tree: u32) -> bool {
        let root = self.trees[tree as usize].root;
        let nested = |pa: u64| {
            let ste = self.ste(pa);
            let of_tree = |regime: parallax_vmsa::Regime| regime.root.page().get() == root;
            ste.config().stage1()
                && matches!(ste.stage2(&self.smmu.idr5), Ok(Some(regime)) if of_tree(regime))
        };
        let live = self.smmu.arrays.iter().any(|(base, (end, _))| {
            let pages = self.memory.known(*base, end - base);
            pages
                .into_iter()
                .any(|page| ((*base).max(page)..(*end).min(page + PAGE_SIZE)).step_by(64).any(&nested))
        });
        live || self.smmu.streams_open > 0
    }

    fn command_sync(&mut self, index: u64) {
        for (id, time) in std::mem::take(&mut self.smmu.sent) {
            let Some(record) = self.records.get_mut(id).filter(|record| record.time == time) else {
                continue;
            };
            if let Some(SmmuStep::Sent { done }) = record.smmu {
                record.smmu = Some(SmmuStep::Synced { sync: index, done });
                self.smmu.synced.push((id, time));
            }
        }
        self.cfgi_sync(index);
    }

    /// Every command below `cons` is consumed, and a CPU has seen it.
    fn consumed(&mut self, cons: u64) {
        self.consumed_inherited(cons);
        let mut waiting = Vec::new();
        for (id, time) in std::mem::take(&mut self.smmu.synced) {
            let Some(record) = self.records.get_mut(id).filter(|record| record.time == time) else {
                continue;
            };
            match record.smmu {
                Some(SmmuStep::Synced { sync, done }) if sync < cons => {
                    record.smmu = if done { None } else { Some(SmmuStep::Stage2Done) };
                    if record.smmu.is_none() && record.cpu.is_none() {
                        self.drop_record(id);
                    }
                }
                Some(SmmuStep::Synced { .. }) => waiting.push((id, time)),
                _ => {}
            }
        }
        self.smmu.synced = waiting;
        self.cfgi_consumed(cons);
    }
}
