//! The checker's state, and its findings.

use super::attempt::Missing;
use super::bases::Areas;
use super::cpu::Cpus;
use super::finding::{Finding, Regime, Site, Subject};
use super::gic::Gic;
use super::lines::Lines;
use super::memory::Memory;
use super::rule::Rule;
use super::smmu_state::Smmu;
use super::tree_state::{Group, StaleVmid, Tree};
use super::unclean::Records;
use crate::map::Map;

/// What is asked for beyond the architecture, for CPUs that do less than it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// An invalidation of an entry is complete only with TLBI, DSB, the same TLBI and DSB again: so Cortex-A76 (erratum
    /// 1286807) and others, as Linux works around it.
    pub repeat_tlbi: bool,
}

/// What is not asked for of another hypervisor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowances {
    /// EL2 may map a page before the host has lost it, as long as it has when the stay ends in which both happen.
    pub maps_first: bool,
}

/// What is known before the first event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Level of FEAT_BBM on the CPUs; a load of ID_AA64MMFR2_EL1 in the stream replaces it.
    pub cpu_bbm: u8,
    /// IDR3.BBML of the SMMU; a load of IDR3 in the stream replaces it.
    pub smmu_bbm: u8,
    /// What is asked for beyond the architecture.
    pub require: Requirements,
    /// What is not asked for.
    pub allow: Allowances,
    /// Pages of 4 KiB whose contents are followed; stores to more of them are counted as lost.
    pub max_pages: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cpu_bbm: 0,
            smmu_bbm: 0,
            require: Requirements::default(),
            allow: Allowances::default(),
            max_pages: 1 << 18,
        }
    }
}

/// The checker.
#[derive(Debug)]
pub struct Checker {
    pub(super) config: Config,
    /// Events so far: the time by which everything is ordered. Event numbers of a file may be anything.
    pub(super) time: u64,
    pub(super) memory: Memory,
    pub(super) trees: Vec<Tree>,
    pub(super) roots: Map<u64, u32>,
    pub(super) vmids: Map<u16, u32>,
    pub(super) stale_vmids: Map<u16, StaleVmid>,
    pub(super) locks: Map<u64, u64>,
    pub(super) owners: Map<u64, u64>,
    /// Pages that are no tables and that are written under locks: number of the page, the locks.
    pub(super) guards: Map<u64, Vec<u64>>,
    pub(super) records: Records,
    pub(super) groups: Map<u32, Group>,
    pub(super) next_group: u32,
    pub(super) cpus: Cpus,
    pub(super) smmu: Smmu,
    pub(super) lines: Lines,
    pub(super) areas: Areas,
    pub(super) gic: Gic,
    pub(super) scratch: Vec<u32>,
    pub(super) findings: Vec<Finding>,
    pub(super) seen: Map<(Rule, u64, u64), usize>,
}

impl Checker {
    /// A checker that knows nothing of memory yet: all of it counts as zero until it is written.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            time: 0,
            memory: Memory::new(config.max_pages),
            trees: Vec::new(),
            roots: Map::default(),
            vmids: Map::default(),
            stale_vmids: Map::default(),
            locks: Map::default(),
            owners: Map::default(),
            guards: Map::default(),
            records: Records::default(),
            groups: Map::default(),
            next_group: 0,
            cpus: Cpus::default(),
            smmu: Smmu::default(),
            lines: Lines::default(),
            areas: Areas::default(),
            gic: Gic::default(),
            scratch: Vec::new(),
            findings: Vec::new(),
            seen: Map::default(),
        }
    }

    /// What was found so far, each place in the code once, in order of its first time.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How many events it has judged.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.time
    }

    /// Addresses of the pages that are followed, in order: those that were stored to, and tables.
    #[must_use]
    pub fn pages(&self) -> Vec<u64> {
        self.memory.known(0, u64::MAX)
    }

    /// How many stores were not followed because [`Config::max_pages`] was reached. Not 0: the verdict is not whole.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.memory.lost
    }

    /// Live trees whose lock is not known: the root, and the first regime that walks it.
    pub fn without_lock(&self) -> impl Iterator<Item = (u64, Regime)> + '_ {
        let live = self.trees.iter().filter(|tree| tree.lock.is_none());
        live.filter_map(|tree| Some((tree.root, tree.cpu.or(tree.smmu.map(Regime::Smmu))?)))
    }

    /// Adds a finding, or counts it when that place in the code broke that rule before. Where the code is not
    /// known, the place in memory stands for it.
    pub(super) fn report(
        &mut self,
        rule: Rule,
        subject: Subject,
        at: Site,
        since: Option<Site>,
        what: String,
        missing: impl Into<Missing>,
    ) {
        let place = match subject {
            Subject::Entry { pa, .. }
            | Subject::Page { pa }
            | Subject::Memory { pa }
            | Subject::Foreign { pa } => pa.get(),
            Subject::Stream(sid) => u64::from(sid),
            Subject::Context { sid, ssid } => u64::from(sid) << 32 | u64::from(ssid),
            Subject::Register(_) => 0,
            Subject::Command(index) => index,
        };
        let key = (rule, at.pc, if at.pc == 0 { place } else { 0 });
        if let Some(index) = self.seen.get(&key) {
            self.findings[*index].count += 1;
            return;
        }
        self.seen.insert(key, self.findings.len());
        let Missing { text: missing, near, until } = missing.into();
        self.findings.push(Finding { rule, subject, at, since, what, missing, near, until, count: 1 });
    }
}
