//! Makes a snapshot from registers and memory.
//!
//! A [`CaptureCache`] remembers every table's bytes and what they meant. Taking the next snapshot reads all tables again,
//! at memory speed, and decodes only those whose bytes changed. Where memory knows what was written in between
//! ([`PhysMem::written`]), only that is read: the work then follows what changed.

mod gic;
mod guests;
mod held_by_tables;
mod lane;
mod pages;
mod pools;
mod smmu;
mod tables;

use std::collections::BTreeMap;

use parallax_addr::{PAGE_SIZE, PhysAddr, Span};
use parallax_smmu::RawRegs;
use parallax_vmsa::regs::{Hcr, Sctlr, Ttbr, bits};
use parallax_vmsa::{PhysMem, Regime, RegimeError, SysRegs};

pub use self::gic::GicCache;
pub use self::guests::guest_regimes;
use self::lane::Lane;
use self::smmu::SmmuCache;
use self::tables::Entry;
use crate::freedom::Freedom;
use crate::leaf::{S1Entry, S2Entry};
use crate::run::{self, Run};
use crate::runs::Runs;
use crate::snapshot::{AddressSpace, Cpu, CpuControl, Mapping, Snapshot, TableUse};
use crate::told::{OwnerForm, Told};

/// What the last snapshot was made from. One for each machine.
#[derive(Debug, Default)]
pub struct CaptureCache {
    cpu: Option<Lane<S2Entry>>,
    el2: Option<Lane<S1Entry>>,
    smmu: SmmuCache,
    pages: pages::PagesCache,
    pools: pools::PoolsCache,
    guests: guests::GuestsCache,
    /// The pages that were read as tables.
    tables: Runs<PhysAddr, TableUse>,
}

/// Takes over what the table of `regime` holds now; nothing is left without one. Says whether the tables may be
/// others than before.
fn follow<E: Entry>(
    lane: &mut Option<Lane<E>>,
    mem: &dyn PhysMem,
    regime: Option<&Regime>,
    owners: OwnerForm,
) -> bool {
    match regime {
        Some(regime) => lane.get_or_insert_default().follow(mem, regime, owners),
        None => lane.take().is_some(),
    }
}

/// What the address spaces of `cache` map.
fn spaces(cache: &CaptureCache) -> BTreeMap<AddressSpace, Mapping> {
    let host = cache.cpu.as_ref().map(|lane| (AddressSpace::Host, Mapping::Stage2(lane.entries.clone())));
    let el2 = cache.el2.as_ref().map(|lane| (AddressSpace::El2, Mapping::Stage1(lane.entries.clone())));
    let guests = cache.guests.spaces();
    let guests = guests.map(|(handle, entries)| (AddressSpace::Guest(handle), Mapping::Stage2(entries)));
    host.into_iter().chain(el2).chain(guests).collect()
}

impl CaptureCache {
    /// With `masters` a stream table without a stage 2 is the host's own, and none of the hypervisor's.
    fn list_tables(&mut self, masters: bool) {
        let user = TableUse::default();
        let mut all: Vec<(PhysAddr, TableUse)> = Vec::new();
        let mut add = |tables: &[PhysAddr], user| all.extend(tables.iter().map(|pa| (pa.page(), user)));
        add(self.cpu.as_ref().map_or(&[], |lane| &lane.tables), TableUse { cpu: true, ..user });
        add(self.el2.as_ref().map_or(&[], |lane| &lane.tables), TableUse { el2: true, ..user });
        self.smmu.lanes().for_each(|lane| add(&lane.tables, TableUse { smmu: true, ..user }));
        if !masters || self.smmu.lanes().next().is_some() {
            add(&self.smmu.strtab_pages(), TableUse { strtab: true, ..user });
        }
        self.guests.tables().for_each(|tables| add(tables, TableUse { guest: true, ..user }));
        all.sort_unstable_by_key(|(pa, _)| *pa);
        let mut tables = Vec::with_capacity(self.tables.len());
        for users in all.chunk_by(|one, two| one.0 == two.0) {
            let mut all = user;
            for (_, user) in users {
                all.cpu |= user.cpu;
                all.el2 |= user.el2;
                all.smmu |= user.smmu;
                all.strtab |= user.strtab;
                all.guest |= user.guest;
            }
            run::push(&mut tables, Run::new(Span::new(users[0].0, PAGE_SIZE), all));
        }
        self.tables.update(tables);
    }
}

/// The state, less the GIC (see [`GicCache`]), that the registers and `mem` describe: `sys` are CPU 0's, `others` those of other CPUs that run the host, by
/// number. `told` says where to look for the page-state array and
/// what the hypervisor calls its own. What cannot be read or decoded is in [`Snapshot::faults`]; nothing panics.
#[must_use]
pub fn capture(
    cache: &mut CaptureCache,
    mem: &dyn PhysMem,
    sys: &SysRegs,
    others: impl Iterator<Item = (usize, SysRegs)>,
    smmu: Option<&RawRegs>,
    told: &Told,
) -> Snapshot {
    let mut faults = Vec::new();
    let mut known = |name: &str, regime: Result<Option<Regime>, RegimeError>| {
        regime.map_err(|error| faults.push(format!("{name}: {error}"))).ok().flatten()
    };
    let stage2 = known("the host's stage 2", Regime::stage2(sys));
    let stage1 = known("EL2's stage 1", Regime::el2_stage1(sys));
    let mut moved = follow(&mut cache.cpu, mem, stage2.as_ref(), told.owners);
    moved |= follow(&mut cache.el2, mem, stage1.as_ref(), told.owners);
    faults.extend(cache.cpu.iter().flat_map(|lane| lane.faults.clone()));
    faults.extend(cache.el2.iter().flat_map(|lane| lane.faults.clone()));
    let (smmu, other) = match smmu {
        Some(raw) => cache.smmu.capture(mem, raw, &mut faults),
        None => (None, cache.smmu.forget()),
    };
    let (guests, some) = match &told.guests {
        Some(table) => cache.guests.capture(mem, (table, &told.layout), (sys, told.owners), &mut faults),
        None => (None, cache.guests.forget()),
    };
    if moved | other | some {
        cache.list_tables(told.freedoms.allow(Freedom::Masters));
    }
    let array = told.pages.map(|array| (array.format, cache.pages.capture(mem, array, &mut faults)));
    let spaces = spaces(cache);
    let pages = array.map(|(format, pages)| held_by_tables::pages(format, pages, &spaces, &told.layout));
    let pools = told.pools.and_then(|at| cache.pools.capture(mem, &at, &cache.tables, &mut faults));
    Snapshot {
        layout: told.layout,
        cpus: std::iter::once((0, *sys)).chain(others).map(cpu).collect(),
        spaces,
        pages,
        pools,
        smmu,
        gic: None,
        tables: cache.tables.clone(),
        guests,
        faults,
    }
}

/// What the registers of CPU `number` say.
fn cpu((number, registers): (usize, SysRegs)) -> Cpu {
    let sys = &registers;
    let (hcr, sctlr, vttbr) = (Hcr(sys.hcr_el2), Sctlr(sys.sctlr_el2), Ttbr(sys.vttbr_el2));
    let stage2 = Regime::stage2(sys).ok().flatten();
    let control = CpuControl {
        stage2_enabled: hcr.stage2_enabled(),
        fwb: hcr.fwb(),
        vmid: vttbr.id(),
        root: stage2.map_or(vttbr.baddr(), |regime| regime.root),
        input_bits: stage2.map_or(64 - bits(sys.vtcr_el2, 5, 0) as u8, |regime| regime.ia_bits as u8),
        el2_enabled: sctlr.m(),
        el2_wxn: sctlr.wxn(),
    };
    Cpu { number, control, registers }
}
