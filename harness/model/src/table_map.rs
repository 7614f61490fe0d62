//! Which table a physical address belongs to: what a store to it means.

use parallax_addr::{InputAddr, PhysAddr, Span};
use parallax_smmu::strtab::SteArray;
use parallax_smmu::{RawRegs, SmmuRegs, Ste, StreamTable};
use parallax_vmsa::desc::{self, Form, Kind, Level};
use parallax_vmsa::regime::Stage2Controls;
use parallax_vmsa::stage1::TableAttrs;
use parallax_vmsa::walk::Visit;
use parallax_vmsa::{PhysMem, Regime, Shareability, Stage, Stage1Attrs, Stage2Attrs, walk};

use crate::lane::{self, Lane};
use crate::leaf::S2Entry;
use crate::raw::Roots;
use crate::smmu_state::Stream;

/// A translation table in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Whose it is: [`Lane::Cpu`], [`Lane::El2`], [`Lane::Smmu`] or [`Lane::Guest`].
    pub lane: Lane,
    /// Its physical address.
    pub pa: PhysAddr,
    /// Its level.
    pub level: Level,
    /// Input address of its first entry.
    pub ia: InputAddr,
    /// Entries that it has, 1 to 512.
    pub entries: u16,
    /// What decides the meaning of attributes.
    pub stage: Stage,
    /// How its descriptors are read.
    pub form: Form,
}

impl Table {
    /// The input addresses that the entry at physical address `pa` translates, if it is one of this table's.
    #[must_use]
    pub fn entry_at(&self, pa: PhysAddr) -> Option<Span<InputAddr>> {
        let index = pa.offset_from(self.pa)? / 8;
        let size = self.level.entry_size();
        (index < u64::from(self.entries)).then(|| Span::new(self.ia.wrapping_add(index * size), size))
    }

    /// What `desc` means in an entry of this table: what it maps, permissions, memory type, shareability; or the owner
    /// that it names. Permissions are the entry's own, without the limits that tables above it set.
    #[must_use]
    pub fn meaning(&self, desc: u64) -> String {
        match desc::kind(desc, self.level, self.form) {
            Kind::Table => format!("table at {:#x}", desc::table_address(desc, self.form)),
            Kind::Leaf => {
                format!(
                    "maps {:#x}, {}",
                    desc::leaf_address(desc, self.level, self.form),
                    self.attributes(desc)
                )
            }
            _ if desc == 0 => "empty".to_owned(),
            _ if desc & 1 == 0 && self.lane == Lane::El2 => "invalid".to_owned(),
            _ if desc & 1 == 0 => lane::annotated(&S2Entry::Annotated { raw: desc }, desc),
            _ => "malformed".to_owned(),
        }
    }

    fn attributes(&self, desc: u64) -> String {
        let block = self.level < Level::LAST;
        let flag = |on, name| if on { name } else { "-" };
        let sh = Shareability::from_bits(self.form.shareability(desc));
        let (letters, memory, af, sw) = match self.stage {
            Stage::Two(Stage2Controls { fwb, .. }) => {
                let attrs = Stage2Attrs::decode(desc, block, fwb);
                let mut letters = String::new();
                lane::put_permissions(&mut letters, attrs.read, attrs.write, attrs.xn, self.lane);
                (letters, attrs.mem.to_string(), attrs.af, attrs.sw)
            }
            Stage::One(controls) => {
                let attrs = Stage1Attrs::decode(desc, block);
                let allowed = attrs.el2_permissions(TableAttrs::decode(0), &controls);
                let letters = ["R", flag(allowed.write, "W"), flag(allowed.execute, "X")].concat();
                let memory = attrs.mem_type(controls.mair);
                let memory = memory.map_or_else(|| "reserved".to_owned(), |memory| memory.to_string());
                (letters, memory, attrs.af, attrs.sw)
            }
        };
        let mut text = format!("{letters} {memory} {sh}");
        if !af {
            text += " AF=0";
        }
        if sw != 0 {
            text += &format!(" sw={sw:#x}");
        }
        text
    }
}

/// Every table that is reached from `roots`. What cannot be decoded is left out.
#[must_use]
pub fn tables(mem: &dyn PhysMem, Roots { sys, smmu, guests }: Roots<'_>) -> Vec<Table> {
    let mut tables = Vec::new();
    let mut tree = |lane, regime: &Regime| {
        walk(mem, regime, |visit| {
            if let Visit::Table { pa, level, ia, entries, .. } = visit {
                tables.push(Table { lane, pa, level, ia, entries, stage: regime.stage, form: regime.form() });
            }
        });
    };
    let stage2 = Regime::stage2(sys).ok().flatten();
    stage2.iter().for_each(|regime| tree(Lane::Cpu, regime));
    let stage1 = Regime::el2_stage1(sys).ok().flatten();
    stage1.iter().for_each(|regime| tree(Lane::El2, regime));
    guests.iter().for_each(|(_, regime)| tree(Lane::Guest, regime));
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

/// Where the SMMU's stream table entries are; nowhere without an SMMU.
#[must_use]
pub fn ste_arrays(mem: &dyn PhysMem, smmu: Option<&RawRegs>) -> Vec<SteArray> {
    let regs = smmu.and_then(|raw| SmmuRegs::decode(raw).ok());
    regs.map(|regs| StreamTable::from_regs(&regs).arrays(mem)).unwrap_or_default()
}

/// What a stream table entry means: what it does and each field that is not 0, its table's address among them.
#[must_use]
pub fn ste_meaning(ste: Ste) -> String {
    if !ste.v() {
        return "invalid (V=0)".to_owned();
    }
    lane::stream(&Stream { dwords: ste.0, table: None, root_below: 0, illegal: String::new() })
}

#[cfg(test)]
mod tests {
    use parallax_vmsa::regime::Stage1Controls;

    use super::*;

    const TABLE: Table = Table {
        lane: Lane::Cpu,
        pa: PhysAddr::new(0x8000),
        level: Level::LAST,
        ia: InputAddr::new(0x4020_0000),
        entries: 512,
        stage: STAGE,
        form: Form::of(48),
    };
    const STAGE: Stage = Stage::Two(Stage2Controls { fwb: false, vmid: 0 });

    #[test]
    fn an_entry_of_a_table_translates_its_share_of_the_input() {
        assert_eq!(
            TABLE.entry_at(PhysAddr::new(0x8008)),
            Some(Span::new(InputAddr::new(0x4020_1000), 0x1000))
        );
        assert_eq!(TABLE.entry_at(PhysAddr::new(0x9000)), None);
        assert_eq!(TABLE.entry_at(PhysAddr::new(0x7ff8)), None);
    }

    #[test]
    fn a_descriptor_means_what_its_level_makes_of_it() {
        assert_eq!(TABLE.meaning(0), "empty");
        assert_eq!(TABLE.meaning(0x2000_0000_0000_0002), "annotated hyp");
        assert_eq!(TABLE.meaning(0x4002_07ff), "maps 0x40020000, RWX Normal-WB ISH");
        assert_eq!(TABLE.meaning(0x0040_0000_4002_0347), "maps 0x40020000, R-- Device-nGnRE ISH AF=0");
        let smmu = Table { lane: Lane::Smmu, ..TABLE };
        assert_eq!(smmu.meaning(0x4002_07ff), "maps 0x40020000, RW Normal-WB ISH");
        assert_eq!(smmu.meaning(0x0040_0000_4002_07ff), "maps 0x40020000, RW xn Normal-WB ISH");
        let upper = Level::new(2).map(|level| Table { level, ..TABLE }.meaning(0x4040_6003));
        assert_eq!(upper.as_deref(), Some("table at 0x40406000"));
        let controls = Stage1Controls { mair: 0x04ff, hpd: false, wxn: true, e2h: false };
        let el2 = Table { lane: Lane::El2, stage: Stage::One(controls), ..TABLE };
        assert_eq!(el2.meaning(0x0040_0000_4002_0703), "maps 0x40020000, RW- Normal-WB ISH");
        assert_eq!(el2.meaning(0x4002_0787), "maps 0x40020000, R-X Device-nGnRE ISH");
    }
}
