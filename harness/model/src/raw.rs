//! Tables as they stand in memory: every table's address and every entry's descriptor. For people; never in a golden.

use parallax_addr::{AddressMap, Ipa, Span, VmHandle};
use parallax_smmu::{RawRegs, SmmuRegs, StreamTable};
use parallax_vmsa::walk::{Run as Walked, Visit};
use parallax_vmsa::{PhysMem, Regime, SysRegs, walk};

use crate::canonical;
use crate::lane::{Lane, View};

/// Where walks begin.
#[derive(Clone, Copy)]
pub struct Roots<'a> {
    /// A CPU's registers.
    pub sys: &'a SysRegs,
    /// Those of the SMMU, if there is one.
    pub smmu: Option<&'a RawRegs>,
    /// The stage 2 of each virtual machine.
    pub guests: &'a [(VmHandle, Regime)],
}

/// The tables of `view` as text, a line for each table and each run of like entries; with `at` only those that translate this
/// input address, or one for each tree that does not translate it. What cannot be decoded is a line that says why.
#[must_use]
pub fn text(
    mem: &dyn PhysMem,
    Roots { sys, smmu, guests }: Roots<'_>,
    symbols: &AddressMap,
    view: View,
    at: Option<u64>,
) -> Vec<String> {
    let mut lines = Vec::new();
    let mut tree = |lane: &str, regime: Result<Option<Regime>, String>| match regime {
        Ok(Some(regime)) => {
            Tree { lane, symbols, at, lines: &mut lines }.walk(mem, &regime);
        }
        Ok(None) => lines.push(format!("{lane:<4} off")),
        Err(why) => lines.push(format!("{lane:<4} {why}")),
    };
    if view.shows(Lane::Cpu) {
        tree(Lane::Cpu.name(), Regime::stage2(sys).map_err(|error| error.to_string()));
    }
    if view.shows(Lane::El2) {
        tree(Lane::El2.name(), Regime::el2_stage1(sys).map_err(|error| error.to_string()));
    }
    for (handle, regime) in guests.iter().filter(|_| view.shows(Lane::Guest)) {
        tree(&format!("{} {handle}", Lane::Guest.name()), Ok(Some(*regime)));
    }
    if let Some(raw) = smmu.filter(|_| view.shows(Lane::Smmu)) {
        match SmmuRegs::decode(raw) {
            Ok(regs) => self::smmu(mem, &regs, symbols, at, &mut lines),
            Err(why) => lines.push(format!("smmu {why}")),
        }
    }
    lines
}

fn smmu(mem: &dyn PhysMem, regs: &SmmuRegs, symbols: &AddressMap, at: Option<u64>, lines: &mut Vec<String>) {
    let (streams, memory) = StreamTable::from_regs(regs).scan(mem);
    for piece in memory {
        let place = symbols.address(piece.pa);
        lines.push(format!(
            "ste  level-{} table {:#x} ({place}), {:#x} bytes",
            piece.level, piece.pa, piece.size
        ));
    }
    let mut regimes = Vec::new();
    for stream in streams {
        let Ok(ste) = stream.entry else { continue };
        if !ste.v() {
            continue;
        }
        let dwords: Vec<String> = ste.0.iter().map(|dword| format!("{dword:016x}")).collect();
        let ids = canonical::stream_ids(Span::new(u64::from(stream.first), stream.count));
        lines.push(format!("ste  {ids} {}", dwords.join(" ")));
        match ste.stage2(&regs.idr5) {
            Ok(regime) => regimes.extend(regime.filter(|regime| !regimes.contains(regime))),
            Err(why) => lines.push(format!("ste  {ids} {why}")),
        }
    }
    let lane = Lane::Smmu.name();
    if at.is_some() && regimes.is_empty() {
        lines.push(format!("{lane:<4} no stream has a stage 2"));
    }
    for regime in regimes {
        Tree { lane, symbols, at, lines }.walk(mem, &regime);
    }
}

struct Tree<'a> {
    lane: &'a str,
    symbols: &'a AddressMap,
    at: Option<u64>,
    lines: &'a mut Vec<String>,
}

impl Tree<'_> {
    fn walk(&mut self, mem: &dyn PhysMem, regime: &Regime) {
        let end = regime.ia_end().get();
        if let Some(at) = self.at.filter(|at| *at >= end) {
            let (lane, root) = (self.lane, regime.root);
            self.lines.push(format!(
                "{lane:<4} {at:#x} is not translated: the table at {root:#x} is for 0x0..{end:#x}"
            ));
            return;
        }
        walk(mem, regime, |visit| self.visit(visit));
    }

    fn visit(&mut self, visit: Visit) {
        let lane = self.lane;
        match visit {
            Visit::Table { pa, level, ia, entries, .. } => {
                let size = level.entry_size().saturating_mul(u64::from(entries));
                if !self.shows(Span::new(ia.get(), size)) {
                    return;
                }
                let place = self.symbols.address(pa);
                self.lines
                    .push(format!("{lane:<4} {level} table {pa:#x} ({place}) of {ia:#x}, {entries} entries"));
            }
            Visit::Leaf(walked) => self.entry(&walked, ""),
            Visit::Invalid(walked) => self.entry(&walked, " invalid"),
            Visit::Malformed(walked, why) => self.entry(&walked, &format!(" malformed: {why}")),
        }
    }

    /// Whether what translates the input addresses of `span` is wanted.
    fn shows(&self, span: Span) -> bool {
        self.at.is_none_or(|at| span.contains(at))
    }

    fn entry(&mut self, walked: &Walked, remark: &str) {
        let Walked { desc, index, count, level, .. } = walked;
        if !self.shows(Span::new(walked.ia.get(), walked.size())) {
            return;
        }
        let where_ = self.symbols.span(Span::new(Ipa::new(walked.ia.get()), walked.size()));
        let lane = self.lane;
        self.lines.push(format!("{lane:<4}   {level}[{index}] {desc:#018x} x{count} {where_}{remark}"));
    }
}
