//! Check 5: whether what happened, happened in the right order.
//!
//! [`Order`] gets the records of a machine's plugin, from the hypervisor's first instruction on, and puts them to
//! the rules of `parallax_protocol`. A rule that is broken in a function is told once in a run; how often it was broken
//! there is counted.

mod convert;
mod text;

use std::collections::BTreeMap;

use parallax_abi::info::HypInfo;
use parallax_abi::journal::Record;
use parallax_machine::Registers;
use parallax_machine::symbols::Symbols;
use parallax_model::lane::Lane;
use parallax_model::table_map::tables;
use parallax_model::{Finding, SymbolMap};
use parallax_protocol::{Checker, Config, Event, HintKind, Kind, Sysreg};
use parallax_vmsa::PhysMem;

use self::convert::Converter;

/// ID_AA64MMFR2_EL1.BBM: its first bit.
const BBM: u32 = 52;
/// Root of a tree in VTTBR_EL2 and TTBR0_EL2.
const ROOT: u64 = 0xffff_ffff_f000;

/// Judges the order of one machine's events.
#[derive(Debug)]
pub struct Order {
    converter: Converter,
    info: HypInfo,
    checker: Checker,
    seq: u64,
    /// Findings of the checker that have been looked at.
    seen: usize,
    /// Those that were told, by rule and function: which of the checker's they are.
    sites: BTreeMap<(&'static str, String), Vec<usize>>,
}

impl Order {
    /// For a machine that has booted; `bbm` is the level of FEAT_BBM of its CPUs.
    #[must_use]
    pub fn new(info: &HypInfo, symbols: Option<&Symbols>, bbm: u8) -> Self {
        let converter = Converter::new(info, symbols);
        let mut order = Self {
            converter,
            info: *info,
            checker: Checker::new(Config::default()),
            seq: 0,
            seen: 0,
            sites: BTreeMap::new(),
        };
        let reg = Sysreg::IdAa64mmfr2El1;
        order.event(0, 0, Kind::SysregRead { reg, value: u64::from(bbm) << BBM });
        order
    }

    /// Which lock protects which tree, from here on: one CPU alone needs none to boot.
    pub fn locks(&mut self, memory: &dyn PhysMem, registers: &Registers) {
        let (sys, smmu) = (&registers.sys, registers.smmu.as_ref());
        let (host, el2) = (sys.vttbr_el2 & ROOT, sys.ttbr0_el2 & ROOT);
        let shadow = tables(memory, sys, smmu).into_iter().find(|table| table.lane == Lane::Smmu);
        let shadow = shadow.map(|table| table.pa).filter(|root| *root != host);
        for (root, lock) in [(Some(host), "host"), (Some(el2), "el2"), (shadow, "smmu")] {
            if let Some((location, value)) = root.zip(self.converter.lock(lock)) {
                self.event(0, 0, Kind::Hint { kind: HintKind::SetRootLock, location, value });
            }
        }
    }

    /// Judges what `records` tell of, and gives what is wrong and had not been told before.
    pub fn judge(
        &mut self,
        records: &[Record],
        symbols: Option<&Symbols>,
        names: &SymbolMap,
    ) -> Vec<Finding> {
        for record in records {
            if let Some(kind) = self.converter.event(record) {
                self.event(record.pc, u16::from(record.cpu), kind);
            }
        }
        let mut fresh = Vec::new();
        for (index, finding) in self.checker.findings().iter().enumerate().skip(self.seen) {
            let function = text::function(finding.at.pc, symbols);
            let site = self.sites.entry((finding.rule.name(), function.clone())).or_default();
            if site.is_empty() {
                fresh.push(text::finding(finding, &function, &self.info, names));
            }
            site.push(index);
        }
        self.seen = self.checker.findings().len();
        fresh
    }

    fn event(&mut self, pc: u64, cpu: u16, kind: Kind) {
        self.seq += 1;
        self.checker.event(&Event { seq: self.seq, pc, cpu, kind });
    }

    /// What there is to say of a finding beyond a golden: what was missing, the lines of the source, how often.
    #[must_use]
    pub fn detail(&self, finding: &Finding, symbols: Option<&Symbols>) -> Vec<String> {
        let function = text::function_of(finding);
        let site = function.and_then(|function| self.sites.get(&(finding.rule, function.to_owned())));
        let all = self.checker.findings();
        let told = site.into_iter().flatten().filter_map(|index| all.get(*index)).collect::<Vec<_>>();
        text::detail(&told, symbols)
    }
}
