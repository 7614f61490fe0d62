//! Which table a physical address belongs to: what a store to it means.

use parallax_smmu::{RawRegs, SmmuRegs, StreamTable};
use parallax_vmsa::desc::{self, Kind, Level};
use parallax_vmsa::walk::Visit;
use parallax_vmsa::{PhysMem, Regime, Stage, Stage2Attrs, SysRegs, walk};

use crate::lane::Lane;
use crate::span::Span;

/// A translation table in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Whose it is: [`Lane::Cpu`], [`Lane::El2`] or [`Lane::Smmu`].
    pub lane: Lane,
    /// Its physical address.
    pub pa: u64,
    /// Its level.
    pub level: Level,
    /// Input address of its first entry.
    pub ia: u64,
    /// Entries that it has, 1 to 512.
    pub entries: u16,
}

impl Table {
    /// The input addresses that the entry at physical address `pa` translates, if it is one of this table's.
    #[must_use]
    pub fn entry_at(&self, pa: u64) -> Option<Span> {
        let index = pa.checked_sub(self.pa)? / 8;
        let size = self.level.entry_size();
        (index < u64::from(self.entries)).then(|| Span::new(self.ia + index * size, size))
    }

    /// What `desc` means in an entry of this table.
    #[must_use]
    pub fn meaning(&self, desc: u64) -> String {
        match desc::kind(desc, self.level) {
            Kind::Table => format!("table at {:#x}", desc::table_address(desc)),
            Kind::Leaf => {
                let allowed = match self.lane {
                    Lane::El2 => String::new(),
                    _ => {
                        let attrs = Stage2Attrs::decode(desc, self.level < Level::LAST, false);
                        let flag = |on, name| if on { name } else { "-" };
                        format!(", {}{}", flag(attrs.read, "R"), flag(attrs.write, "W"))
                    }
                };
                format!("maps {:#x}{allowed}", desc::leaf_address(desc, self.level))
            }
            _ if desc == 0 => "empty".to_owned(),
            _ if desc & 1 == 0 => "invalid, annotated".to_owned(),
            _ => "malformed".to_owned(),
        }
    }
}

/// Every table of the machine that `sys`, the SMMU's registers and `mem` describe. What cannot be decoded is left out.
#[must_use]
pub fn tables(mem: &dyn PhysMem, sys: &SysRegs, smmu: Option<&RawRegs>) -> Vec<Table> {
    let mut tables = Vec::new();
    let mut tree = |lane, regime: &Regime| {
        walk(mem, regime, |visit| {
            if let Visit::Table { pa, level, ia, entries, .. } = visit {
                tables.push(Table { lane, pa, level, ia, entries });
            }
        });
    };
    let stage2 = Regime::stage2(sys).ok().flatten();
    stage2.iter().for_each(|regime| tree(Lane::Cpu, regime));
    let stage1 = Regime::el2_stage1(sys).ok().flatten();
    stage1.iter().for_each(|regime| tree(Lane::El2, regime));
    let Some(regs) = smmu.and_then(|raw| SmmuRegs::decode(raw).ok()) else { return tables };
    let mut regimes: Vec<Regime> = Vec::new();
    for stream in StreamTable::from_regs(&regs).scan(mem).0 {
        let Some(ste) = stream.entry.ok().filter(|ste| ste.v()) else { continue };
        let regime = ste.stage2(&regs.idr5).ok().flatten();
        regimes.extend(
            regime.filter(|regime| matches!(regime.stage, Stage::Two(_)) && !regimes.contains(regime)),
        );
    }
    regimes.iter().for_each(|regime| tree(Lane::Smmu, regime));
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table =
        Table { lane: Lane::Cpu, pa: 0x8000, level: Level::LAST, ia: 0x4020_0000, entries: 512 };

    #[test]
    fn an_entry_of_a_table_translates_its_share_of_the_input() {
        assert_eq!(TABLE.entry_at(0x8008), Some(Span::new(0x4020_1000, 0x1000)));
        assert_eq!(TABLE.entry_at(0x9000), None);
        assert_eq!(TABLE.entry_at(0x7ff8), None);
    }

    #[test]
    fn a_descriptor_means_what_its_level_makes_of_it() {
        assert_eq!(TABLE.meaning(0), "empty");
        assert_eq!(TABLE.meaning(0x1000_0000_0000_0000), "invalid, annotated");
        assert_eq!(TABLE.meaning(0x4002_07ff), "maps 0x40020000, RW");
        assert_eq!(TABLE.meaning(0x4002_077f), "maps 0x40020000, R-");
        let upper = Level::new(2).map(|level| Table { level, ..TABLE }.meaning(0x4040_6003));
        assert_eq!(upper.as_deref(), Some("table at 0x40406000"));
    }
}
