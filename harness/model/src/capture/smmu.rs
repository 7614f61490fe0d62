//! Registers, stream table and stage-2 tables of the SMMU.

use parallax_addr::{PhysAddr, Span};
use parallax_smmu::strtab::Layout;
use parallax_smmu::{Queue, RawRegs, SmmuRegs, Ste, StreamTable, illegal};
use parallax_vmsa::{PhysMem, Regime};

use super::lane::Lane;
use crate::leaf::S2Entry;
use crate::run::{self, Run};
use crate::runs::Runs;
use crate::smmu_state::{self, SmmuControl, SmmuState, SmmuTable, Stream};
use crate::told::OwnerForm;

/// What was there last.
#[derive(Debug, Default)]
pub(super) struct SmmuCache {
    /// Registers, and what they mean.
    regs: Option<(RawRegs, SmmuRegs)>,
    strtab: Strtab,
    tables: Vec<(Regime, Lane<S2Entry>)>,
}

/// The stream table's entries as they were last.
#[derive(Debug, Default)]
struct Strtab {
    /// The registers that they were read by, without what moves by itself, if all of the table's memory has versions.
    regs: Option<SmmuRegs>,
    moment: Option<u64>,
    memory: Vec<Span<PhysAddr>>,
    streams: Runs<u64, Stream>,
    regimes: Vec<Regime>,
}

impl SmmuCache {
    /// The SMMU with these registers, and whether its tables may be others than before; none when the registers cannot
    /// be decoded, which is then among the faults.
    pub(super) fn capture(
        &mut self,
        mem: &dyn PhysMem,
        raw: &RawRegs,
        faults: &mut Vec<String>,
    ) -> (Option<SmmuState>, bool) {
        let regs = match &self.regs {
            Some((known, regs)) if known == raw => *regs,
            _ => match SmmuRegs::decode(raw) {
                Ok(regs) => regs,
                Err(error) => {
                    faults.push(error.to_string());
                    return (None, self.forget());
                }
            },
        };
        if self.regs.as_ref().is_none_or(|(known, _)| known != raw) {
            self.regs = Some((raw.clone(), regs));
        }
        let strtab = StreamTable::from_regs(&regs);
        let mut others = self.strtab.follow(mem, &regs, &strtab);
        let Self { strtab: Strtab { streams, regimes, .. }, tables, .. } = self;
        tables.retain(|(known, _)| regimes.contains(known));
        let mut states = Vec::with_capacity(regimes.len());
        for regime in regimes {
            let known = tables.iter().position(|(known, _)| known == regime).unwrap_or_else(|| {
                tables.push((*regime, Lane::default()));
                tables.len() - 1
            });
            let lane = &mut tables[known].1;
            others |= lane.follow(mem, regime, OwnerForm::default());
            faults.extend_from_slice(&lane.faults);
            let entries = lane.entries.clone();
            states.push(SmmuTable { root: regime.root, input_bits: regime.ia_bits as u8, entries });
        }
        let state = SmmuState {
            control: control(&regs, &strtab),
            streams: streams.clone(),
            tables: states,
            next_command: regs.cmdq.prod,
        };
        (Some(state), others)
    }

    /// There is no SMMU; says whether there was one.
    pub(super) fn forget(&mut self) -> bool {
        let others = !self.strtab.memory.is_empty() || !self.tables.is_empty();
        *self = Self::default();
        others
    }

    /// The stage-2 tables.
    pub(super) fn lanes(&self) -> impl Iterator<Item = &Lane<S2Entry>> {
        self.tables.iter().map(|(_, lane)| lane)
    }

    /// The pages that hold the stream table.
    pub(super) fn strtab_pages(&self) -> Vec<PhysAddr> {
        self.strtab.pages().collect()
    }
}

impl Strtab {
    /// Takes over what the stream table holds now, and says whether it may have changed.
    fn follow(&mut self, mem: &dyn PhysMem, regs: &SmmuRegs, table: &StreamTable) -> bool {
        let still = |queue: &Queue| Queue { prod: 0, cons: 0, ..*queue };
        let steady = SmmuRegs { cmdq: still(&regs.cmdq), eventq: still(&regs.eventq), ..*regs };
        let written = self.moment.and_then(|moment| mem.written(moment));
        let kept = self.regs == Some(steady)
            && written.is_some_and(|written| self.pages().all(|page| written.binary_search(&page).is_err()));
        if !kept {
            self.read(mem, regs, table);
            let told = self.pages().all(|page| mem.version(page).is_some());
            self.regs = told.then_some(steady);
        }
        self.moment = mem.moment();
        !kept
    }

    fn read(&mut self, mem: &dyn PhysMem, regs: &SmmuRegs, table: &StreamTable) {
        (self.memory, self.regimes) = (Vec::new(), Vec::new());
        let mut streams = Vec::new();
        // A table that nobody has set up has no streams; while SMMUEN = 0 nobody reads it.
        if !regs.cr0ack.smmuen() {
            return self.streams.update(streams);
        }
        let (found, memory) = table.scan(mem);
        self.memory = memory.iter().map(|piece| Span::new(piece.pa, piece.size)).collect();
        for stream in found {
            if let Some(value) = stream.entry.ok().and_then(|ste| valid(ste, regs, &mut self.regimes)) {
                let span = Span::new(u64::from(stream.first), stream.count);
                run::push(&mut streams, Run::new(span, value));
            }
        }
        self.streams.update(streams);
    }

    fn pages(&self) -> impl Iterator<Item = PhysAddr> {
        self.memory.iter().filter_map(|span| span.whole_pages()).flat_map(Span::pages)
    }
}

/// What a valid entry means; its stage-2 table gets a place in `regimes`.
fn valid(ste: Ste, regs: &SmmuRegs, regimes: &mut Vec<Regime>) -> Option<Stream> {
    if !ste.v() {
        return None;
    }
    let reasons: Vec<String> = illegal::illegal(&ste, regs).iter().map(ToString::to_string).collect();
    let regime = ste.stage2(&regs.idr5).ok().flatten();
    let table = regime.map(|regime| {
        regimes.iter().position(|known| *known == regime).unwrap_or_else(|| {
            regimes.push(regime);
            regimes.len() - 1
        })
    });
    let root_below = regime.map_or(0, |regime| ste.s2ttb() & (regime.root_size() - 1));
    let mut dwords = ste.0;
    dwords[3] &= !Stream::S2TTB;
    Some(Stream { dwords, table, root_below, illegal: reasons.join(", ") })
}

fn control(regs: &SmmuRegs, strtab: &StreamTable) -> SmmuControl {
    let queue = |queue: &Queue| smmu_state::Queue {
        base: queue.base,
        log2size: queue.log2size as u8,
        below: queue.below,
    };
    SmmuControl {
        enabled: regs.cr0ack.smmuen(),
        cmdq_enabled: regs.cr0ack.cmdqen(),
        evtq_enabled: regs.cr0ack.eventqen(),
        gbpa_abort: regs.gbpa.abort(),
        cr1: regs.cr1.0[0] as u32,
        cr2: regs.cr2.0[0] as u32,
        irq_ctrl: regs.irq_ctrl.0[0] as u32,
        msi: regs.msi,
        gerror: regs.active_errors().0[0] as u32,
        cmdq_error: (regs.cmdq.cons >> 24 & 0x7f) as u8,
        strtab_base: strtab.base,
        strtab_below: strtab.below,
        strtab_log2size: strtab.log2size as u8,
        strtab_split: match strtab.layout {
            Layout::Linear => None,
            Layout::TwoLevel { split } => Some(split as u8),
        },
        cmdq: queue(&regs.cmdq),
        evtq: queue(&regs.eventq),
        output_bits: regs.idr5.oas_bits() as u8,
        attr_types_ovr: regs.idr1.attr_types_ovr(),
        ranges: regs.idr3.ril(),
    }
}
