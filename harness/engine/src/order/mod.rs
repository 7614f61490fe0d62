//! Check 5: whether what happened, happened in the right order.
//!
//! [`Order`] gets the records of a machine's plugin, from the hypervisor's first instruction on, and puts them to
//! the rules of `parallax_protocol`. A rule that is broken in a function is told once in a run; how often it was broken
//! there is counted.

mod convert;
mod export;
mod text;

use std::collections::BTreeMap;

use parallax_abi::journal::Record;
use parallax_addr::{PAGE_SIZE, PhysAddr};
use parallax_machine::Target;
use parallax_machine::symbols::Symbols;
use parallax_model::{AddressMap, Freedom, Layout, Rule, Tree, Violation};
use parallax_protocol::{
    self as protocol, Allowances, Checker, Config, Event, HintKind, Kind, Regime, Sysreg,
};

use self::convert::{Converter, Gic};
pub use self::export::Exported;
pub use parallax_protocol::Requirements;

/// ID_AA64MMFR2_EL1.BBM: its first bit.
const BBM: u32 = 52;

/// Judges the order of one machine's events.
#[derive(Debug)]
pub struct Order {
    converter: Converter,
    layout: Layout,
    /// The page-state array, where its entries are those of our ABI: first byte, bytes.
    states: Option<(u64, u64)>,
    /// Entries of EL2's stage 1 that one CPU alone writes, by CPU.
    own_entries: [Option<PhysAddr>; 8],
    checker: Checker,
    seq: u64,
    booted: bool,
    /// Findings of the checker that have been looked at.
    seen: usize,
    /// Those that were told, by rule and function: which of the checker's they are.
    sites: BTreeMap<(protocol::Rule, String), Vec<usize>>,
    export: Option<Exported>,
}

impl Order {
    /// For a machine that has booted, `target`; `bbm` is the level of FEAT_BBM of its CPUs, `require` what is asked
    /// for beyond the architecture. With `export`, [`Self::exported`] is
    /// to have all events.
    #[must_use]
    pub fn new(
        target: &Target,
        symbols: Option<&Symbols>,
        bbm: u8,
        export: bool,
        require: Requirements,
    ) -> Self {
        let info = &target.info_or_zero();
        let layout = target.told.layout;
        let region = |name| {
            let region = target.description.regions.iter().find(|region| region.name == name);
            region.map_or((0, 0), |region| (region.base.get(), region.size))
        };
        let allow = Allowances { maps_first: target.told.freedoms.allow(Freedom::MapsFirst) };
        let gic = Gic { its: region("its"), gicr: region("gicr") };
        let tree = (info.tree_pa, info.tree_pa.saturating_add(info.tree_size));
        let converter = Converter::new(&target.told, tree, gic, symbols);
        let mut order = Self {
            converter,
            layout,
            states: target.info.map(|info| (info.vmemmap_pa, info.vmemmap_nr.saturating_mul(8))),
            own_entries: target.told.own_entries,
            checker: Checker::new(Config { require, allow, ..Config::default() }),
            seq: 0,
            booted: false,
            seen: 0,
            sites: BTreeMap::new(),
            export: export.then(Exported::default),
        };
        let reg = Sysreg::IdAa64mmfr2El1;
        order.event(0, 0, Kind::SysregRead { reg, value: u64::from(bbm) << BBM }, None);
        for (kind, location, value) in [
            (HintKind::SetImage, layout.image.base.get(), layout.image.size),
            (HintKind::SetPool, layout.pool.base.get(), layout.pool.size),
        ] {
            order.event(0, 0, Kind::Hint { kind, location, value }, None);
        }
        // What other hypervisors have of these is not known.
        for (kind, location, value) in [
            (HintKind::SetCommandQueue, info.cmdq_pa, info.cmdq_size),
            (HintKind::SetEventQueue, info.evtq_pa, info.evtq_size),
            (HintKind::SetTree, info.tree_pa, info.tree_size),
            (HintKind::SetPageStates, info.vmemmap_pa, info.vmemmap_first_pfn),
        ] {
            if target.info.is_some() {
                order.event(0, 0, Kind::Hint { kind, location, value }, None);
            }
        }
        order
    }

    /// The boot is over: from here on trees are written under their locks, which one CPU alone needs not.
    pub fn booted(&mut self) {
        self.booted = true;
        self.lock_trees();
        for (cpu, entry) in (0..).zip(self.own_entries) {
            let Some(entry) = entry else { continue };
            let (kind, location) = (HintKind::SetPteThreadOwner, entry.get());
            self.event(0, 0, Kind::Hint { kind, location, value: cpu }, None);
        }
        self.lock_pages();
    }

    /// Tells the checker that the page-state array is written under both the host's lock and EL2's.
    fn lock_pages(&mut self) {
        let Some((first, bytes)) = self.states else { return };
        let locks: Vec<u64> =
            [Tree::Host, Tree::El2].into_iter().filter_map(|tree| self.converter.lock(tree)).collect();
        for location in (first..first.saturating_add(bytes)).step_by(PAGE_SIZE as usize) {
            for &value in &locks {
                self.event(0, 0, Kind::Hint { kind: HintKind::SetPageLock, location, value }, None);
            }
        }
    }

    /// Tells the checker which lock protects each tree that it has met since the last time. The host's VMID is 0.
    fn lock_trees(&mut self) {
        let new: Vec<(u64, Regime)> = self.checker.without_lock().collect();
        for (location, regime) in new {
            let lock = match regime {
                Regime::Cpu(0) => Tree::Host,
                Regime::Cpu(_) => continue,
                Regime::El2 => Tree::El2,
                Regime::Smmu(_) => Tree::Smmu,
            };
            if let Some(value) = self.converter.lock(lock) {
                self.event(0, 0, Kind::Hint { kind: HintKind::SetRootLock, location, value }, None);
            }
        }
    }

    /// Judges what `records` tell of, and gives what is wrong and had not been told before.
    pub fn judge(
        &mut self,
        records: &[Record],
        symbols: Option<&Symbols>,
        names: &AddressMap,
    ) -> Vec<Violation> {
        for record in records {
            if let Some(kind) = self.converter.event(record) {
                self.event(record.pc, u16::from(record.cpu), kind, symbols);
            }
        }
        if self.booted {
            self.lock_trees();
        }
        let mut fresh = Vec::new();
        for (index, finding) in self.checker.findings().iter().enumerate().skip(self.seen) {
            let function = text::function(finding.at.pc, symbols);
            let site = self.sites.entry((finding.rule, function.clone())).or_default();
            if site.is_empty() {
                fresh.push(text::violation(finding, &function, &self.layout, names));
            }
            site.push(index);
        }
        self.seen = self.checker.findings().len();
        fresh
    }

    /// What is judged from here on belongs to the operation in line `line`.
    pub fn operation(&mut self, line: usize) {
        self.event(0, 0, Kind::Op { number: line as u64 }, None);
    }

    fn event(&mut self, pc: u64, cpu: u16, kind: Kind, symbols: Option<&Symbols>) {
        self.seq += 1;
        let event = Event { seq: self.seq, pc, cpu, kind };
        self.checker.event(&event);
        if let Some(export) = &mut self.export {
            export.add(&event, symbols);
        }
    }

    /// All events so far, which are not kept any longer; nothing if they were not to be kept.
    #[must_use]
    pub fn exported(&mut self) -> Option<Exported> {
        Some(self.export.take()?.finished(self.checker.pages()))
    }

    /// How many events were judged.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.checker.events()
    }

    /// What there is to say of a finding beyond a golden: what was missing, the lines of the source, how often.
    /// Nothing for a finding of another check.
    #[must_use]
    pub fn detail(&self, finding: &Violation, symbols: Option<&Symbols>) -> Vec<String> {
        let (Rule::Protocol(rule), Some(function)) = (finding.rule, &finding.function) else {
            return Vec::new();
        };
        let site = self.sites.get(&(rule, function.clone()));
        let all = self.checker.findings();
        let broken = site.into_iter().flatten().filter_map(|index| all.get(*index)).collect::<Vec<_>>();
        text::detail(&broken, symbols)
    }
}
