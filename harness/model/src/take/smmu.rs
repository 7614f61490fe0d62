//! Registers, stream table and stage-2 tables of the SMMU.

use parallax_smmu::strtab::Layout;
use parallax_smmu::{RawRegs, SmmuRegs, Ste, StreamTable, illegal};
use parallax_vmsa::{PhysMem, Regime, TableCache};

use super::{Gathered, tables};
use crate::run::{self, Run};
use crate::smmu_state::{Queue, SmmuControl, SmmuState, SmmuTable, Stream};
use crate::snapshot::TableUse;
use crate::span::Span;

/// The tables that were walked last.
#[derive(Debug, Default)]
pub(super) struct SmmuCache {
    tables: Vec<(Regime, TableCache)>,
}

impl SmmuCache {
    /// The SMMU with these registers; none when they cannot be decoded, which is then among the faults.
    pub(super) fn take(
        &mut self,
        mem: &dyn PhysMem,
        raw: &RawRegs,
        gathered: &mut Gathered,
    ) -> Option<SmmuState> {
        let regs = SmmuRegs::decode(raw).map_err(|error| gathered.faults.push(error.to_string())).ok()?;
        let strtab = StreamTable::from_regs(&regs);
        let (mut streams, mut regimes) = (Vec::new(), Vec::new());
        // A table that nobody has set up has no streams; while SMMUEN = 0 nobody reads it.
        if regs.cr0ack.smmuen() {
            let (found, memory) = strtab.scan(mem);
            let user = TableUse { strtab: true, ..TableUse::default() };
            for piece in memory {
                gathered.memory(Span::new(piece.pa, piece.size), user);
            }
            for stream in found {
                if let Some(value) = stream.entry.ok().and_then(|ste| valid(ste, &regs, &mut regimes)) {
                    let span = Span::new(u64::from(stream.first), stream.count);
                    run::push(&mut streams, Run::new(span, value));
                }
            }
        }
        self.tables.retain(|(known, _)| regimes.contains(known));
        let tables = regimes.into_iter().map(|regime| self.table(mem, regime, gathered)).collect();
        Some(SmmuState { control: control(&regs, &strtab), streams, tables })
    }

    fn table(&mut self, mem: &dyn PhysMem, regime: Regime, gathered: &mut Gathered) -> SmmuTable {
        let known = self.tables.iter().position(|(known, _)| *known == regime);
        let index = known.unwrap_or_else(|| {
            self.tables.push((regime, TableCache::new()));
            self.tables.len() - 1
        });
        let user = TableUse { smmu: true, ..TableUse::default() };
        let entries = tables::stage2(&mut self.tables[index].1, mem, &regime, user, gathered);
        SmmuTable { root: regime.root, input_bits: regime.ia_bits as u8, entries }
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
    let mut dwords = ste.0;
    dwords[3] &= !Stream::S2TTB;
    Some(Stream { dwords, table, illegal: reasons.join(", ") })
}

fn control(regs: &SmmuRegs, strtab: &StreamTable) -> SmmuControl {
    let queue = |queue: &parallax_smmu::Queue| Queue { base: queue.base, log2size: queue.log2size as u8 };
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
        strtab_log2size: strtab.log2size as u8,
        strtab_split: match strtab.layout {
            Layout::Linear => None,
            Layout::TwoLevel { split } => Some(split as u8),
        },
        cmdq: queue(&regs.cmdq),
        evtq: queue(&regs.eventq),
        output_bits: regs.idr5.oas_bits() as u8,
        attr_types_ovr: regs.idr1.attr_types_ovr(),
    }
}
