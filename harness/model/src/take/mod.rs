//! Makes a snapshot from registers and memory.
//!
//! A [`TakeCache`] remembers every table's bytes and what they meant. Taking the next snapshot reads all tables again,
//! at memory speed, and decodes only those whose bytes changed.

mod pages;
mod smmu;
mod tables;

use parallax_abi::info::HypInfo;
use parallax_smmu::RawRegs;
use parallax_vmsa::regs::{Hcr, Sctlr, Ttbr, bits};
use parallax_vmsa::{PhysMem, Regime, RegimeError, SysRegs, TableCache};

use crate::run::{self, Run};
use crate::snapshot::{CpuControl, Layout, Snapshot, TableUse};
use crate::span::Span;

/// What the last snapshot was made from. One for each machine.
#[derive(Debug, Default)]
pub struct TakeCache {
    cpu: TableCache,
    el2: TableCache,
    smmu: smmu::SmmuCache,
    pages: pages::PagesCache,
}

/// What walks come across on the way.
#[derive(Debug, Default)]
struct Gathered {
    tables: Vec<(u64, TableUse)>,
    faults: Vec<String>,
}

impl Gathered {
    fn table(&mut self, pa: u64, user: TableUse) {
        self.tables.push((pa & !0xfff, user));
    }

    fn memory(&mut self, span: Span, user: TableUse) {
        let first = span.base & !0xfff;
        self.tables.extend((first..span.end()).step_by(0x1000).map(|pa| (pa, user)));
    }

    fn regime(&mut self, name: &str, regime: Result<Option<Regime>, RegimeError>) -> Option<Regime> {
        regime.unwrap_or_else(|error| {
            self.faults.push(format!("{name}: {error}"));
            None
        })
    }

    /// The table pages as runs.
    fn runs(mut self) -> (Vec<Run<TableUse>>, Vec<String>) {
        self.tables.sort_unstable_by_key(|(pa, _)| *pa);
        let mut runs: Vec<Run<TableUse>> = Vec::new();
        for users in self.tables.chunk_by(|one, two| one.0 == two.0) {
            let mut all = TableUse::default();
            for (_, user) in users {
                all.cpu |= user.cpu;
                all.el2 |= user.el2;
                all.smmu |= user.smmu;
                all.strtab |= user.strtab;
            }
            run::push(&mut runs, Run::new(Span::new(users[0].0, 0x1000), all));
        }
        (runs, self.faults)
    }
}

/// The state that `sys`, the SMMU's registers and `mem` describe. `info` says where to look for the page-state array and
/// what the hypervisor calls its own. What cannot be read or decoded is in [`Snapshot::faults`]; nothing panics.
#[must_use]
pub fn take(
    cache: &mut TakeCache,
    mem: &dyn PhysMem,
    sys: &SysRegs,
    smmu: Option<&RawRegs>,
    info: &HypInfo,
) -> Snapshot {
    let mut gathered = Gathered::default();
    let stage2 = gathered.regime("the host's stage 2", Regime::stage2(sys));
    let stage1 = gathered.regime("EL2's stage 1", Regime::el2_stage1(sys));
    let user = TableUse { cpu: true, ..TableUse::default() };
    let cpu = stage2.map(|regime| tables::stage2(&mut cache.cpu, mem, &regime, user, &mut gathered));
    let el2 = stage1.map(|regime| tables::stage1(&mut cache.el2, mem, &regime, &mut gathered));
    let smmu = smmu.and_then(|raw| cache.smmu.take(mem, raw, &mut gathered));
    let array = (info.vmemmap_pa, info.vmemmap_first_pfn, info.vmemmap_nr);
    let pages = cache.pages.take(mem, array, &mut gathered.faults);
    let (tables, faults) = gathered.runs();
    Snapshot {
        layout: Layout::from(info),
        control: control(sys, stage2.as_ref()),
        cpu: cpu.unwrap_or_default(),
        el2: el2.unwrap_or_default(),
        pages,
        smmu,
        tables,
        faults,
    }
}

fn control(sys: &SysRegs, stage2: Option<&Regime>) -> CpuControl {
    let (hcr, sctlr, vttbr) = (Hcr(sys.hcr_el2), Sctlr(sys.sctlr_el2), Ttbr(sys.vttbr_el2));
    CpuControl {
        stage2_enabled: hcr.stage2_enabled(),
        fwb: hcr.fwb(),
        vmid: vttbr.id(),
        root: vttbr.baddr(),
        input_bits: stage2.map_or(64 - bits(sys.vtcr_el2, 5, 0) as u8, |regime| regime.ia_bits as u8),
        el2_enabled: sctlr.m(),
        el2_wxn: sctlr.wxn(),
    }
}
