//! TLB maintenance on the CPUs: which unclean entries an instruction reaches, and what completes it.
//!
//! One CPU must do all of it: the store, DSB, TLBI, DSB. Work of another CPU would do in hardware only with
//! synchronisation between the two that a stream of events does not show.

use super::attempt::{Attempt, after};
use super::checker::Checker;
use super::finding::{Regime, Site};
use super::unclean::CpuStep;
use crate::tlbi::{Operand, Scope, Select, Target, TlbiOp};

impl Checker {
    pub(super) fn tlbi(&mut self, at: Site, op: TlbiOp, operand: u64) {
        self.tlbi_vmid(at, op);
        self.tlbi_inherited(at, op);
        let range = op.operand(operand);
        if self.records.all().next().is_none() {
            return;
        }
        let mut ids = std::mem::take(&mut self.scratch);
        ids.clear();
        match op.target() {
            Target::GranuleProtection => {}
            Target::El2 | Target::AllVmids => {
                for tree in 0..self.trees.len() {
                    let el2 = self.trees[tree].cpu == Some(Regime::El2);
                    if self.trees[tree].cpu.is_some() && el2 == (op.target() == Target::El2) {
                        self.reached(tree as u32, range, &mut ids);
                    }
                }
            }
            Target::Stage1 | Target::Stage2 | Target::Both => {
                let vttbr = self.cpus.get(at.cpu).and_then(|cpu| cpu.vttbr);
                let tree = vttbr.and_then(|vttbr| self.vmids.get(&((vttbr >> 48) as u16))).copied();
                if let Some(tree) = tree {
                    // Stage-1 operations by address say nothing of IPAs: they do not help.
                    let range = if op.target() == Target::Stage1 { None } else { range };
                    if op.target() != Target::Stage1 || op.select() == Select::All {
                        self.reached(tree, range, &mut ids);
                    }
                }
            }
        }
        for id in &ids {
            self.tlbi_entry(at, (op, operand), range, *id);
        }
        if ids.is_empty() && matches!(op.target(), Target::Stage2 | Target::Both) {
            self.passed_by(at, op, range);
        }
        self.scratch = ids;
    }

    /// An operation that found nothing under the current VMID: what it was perhaps meant for is told of it.
    fn passed_by(&mut self, at: Site, op: TlbiOp, range: Option<Operand>) {
        let some: Vec<u32> = self.records.all().take(16).collect();
        for id in some {
            let Some(record) = self.records.get_mut(id) else { continue };
            let stage2 = matches!(self.trees[record.tree as usize].cpu, Some(Regime::Cpu(_)));
            let here = range.is_none_or(|range| {
                let size = super::change::span(record.level);
                let first = range.address.get();
                record.ia < first.saturating_add(range.size) && first < record.ia.saturating_add(size)
            });
            if stage2 && here && record.cpu == Some(CpuStep::Stored) {
                record.attempt = Some(Attempt::tlbi(at, op, "was for another VMID"));
            }
        }
    }

    fn reached(&self, tree: u32, range: Option<Operand>, ids: &mut Vec<u32>) {
        match range {
            None => self.records.of_tree(tree, ids),
            Some(range) => self.records.in_range(tree, range.address.get(), range.size, ids),
        }
    }

    fn tlbi_entry(&mut self, at: Site, issued: (TlbiOp, u64), range: Option<Operand>, id: u32) {
        let (op, _) = issued;
        let Some(record) = self.records.get_mut(id) else { return };
        let Some(step) = record.cpu else { return };
        let tree = &self.trees[record.tree as usize];
        let cpu = self.cpus.of(at.cpu);
        let local = op.scope() == Scope::Local;
        let visible = if local { cpu.dsb } else { cpu.dsb_shared } > record.time;
        let alone = tree.loaded & !(1 << at.cpu.min(63)) == 0;
        let level = range.and_then(|range| range.level);
        let wrong_level = level
            .is_some_and(|level| if record.leaf { level != record.level } else { level <= record.level });
        let wrong = if record.by.cpu != at.cpu {
            Some("was issued by another CPU than the store")
        } else if local && !alone {
            Some("reached this CPU only; others have loaded the table")
        } else if wrong_level {
            Some("had a level hint for another level")
        } else if op.last_level_only() && !record.leaf {
            Some("leaves cached table entries alone")
        } else {
            None
        };
        let twice = self.config.require.repeat_tlbi;
        let stage1 = op.target() == Target::Stage1;
        match (wrong, after(op, step, local)) {
            (Some(why), _) => {
                if !stage1 {
                    record.attempt = Some(Attempt::tlbi(at, op, why));
                }
                return;
            }
            (None, Some(step)) if visible => {
                (record.cpu, record.issued, record.attempt) = (Some(step), Some(issued), None);
            }
            (None, Some(_)) if twice => {
                let why = "came before the DSB that makes the store visible";
                record.attempt = Some(Attempt::tlbi(at, op, why));
                return;
            }
            (None, Some(step)) => record.attempt = Some(Attempt::before_visible(at, op, step)),
            (None, None) if stage1 && matches!(step, CpuStep::Stage2Sent { .. }) => {
                let stage2 = record.issued.map(|(op, _)| op);
                record.attempt = Some(Attempt::before_complete(at, op, stage2, local));
            }
            (None, None) => {
                if !record.attempt.as_mut().is_some_and(|attempt| attempt.goes_on(op, local)) {
                    return;
                }
            }
        }
        cpu.sent.push((id, record.time));
    }

    /// A DSB for loads and stores: what this CPU has issued is complete.
    pub(super) fn complete(&mut self, at: Site, shared: bool) {
        let cpu = self.cpus.of(at.cpu);
        if cpu.sent.is_empty() {
            return;
        }
        let sent = std::mem::take(&mut cpu.sent);
        let twice = self.config.require.repeat_tlbi;
        let mut waiting = Vec::new();
        for (id, time) in sent {
            let Some(record) = self.records.get_mut(id).filter(|record| record.time == time) else {
                continue;
            };
            if let Some(attempt) = &mut record.attempt {
                attempt.complete(shared);
            }
            match record.cpu {
                Some(CpuStep::Stage2Sent { local } | CpuStep::Sent { local }) if !local && !shared => {
                    record.attempt = Some(Attempt::barrier(at, "is for this CPU only"));
                    waiting.push((id, time));
                }
                Some(step @ (CpuStep::Stage2Sent { .. } | CpuStep::Sent { .. }))
                    if twice && record.once.is_none_or(|once| Some(once) != record.issued) =>
                {
                    let combined = record.issued.is_some_and(|(op, _)| op.target() == Target::Stage1);
                    let after_stage2 = matches!(step, CpuStep::Sent { .. }) && combined;
                    record.cpu = Some(if after_stage2 { CpuStep::Stage2Done } else { CpuStep::Stored });
                    record.once = record.issued;
                    record.attempt =
                        Some(Attempt::barrier(at, "completes the TLBI once, it must come twice"));
                }
                Some(CpuStep::Stage2Sent { .. }) => record.cpu = Some(CpuStep::Stage2Done),
                Some(CpuStep::Sent { .. }) => {
                    record.cpu = None;
                    if record.smmu.is_none() {
                        self.drop_record(id);
                    }
                }
                _ => {}
            }
        }
        self.cpus.of(at.cpu).sent = waiting;
    }
}
