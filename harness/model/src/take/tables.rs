//! One translation table tree as runs of entries.

use parallax_vmsa::regs::bits;
use parallax_vmsa::walk::{Malformed, Run as Walked, TableCache, Visit};
use parallax_vmsa::{PhysMem, Regime, Stage, Stage1Controls, desc};

use super::Gathered;
use crate::leaf::{S1Entry, S1Leaf, S2Entry, S2Leaf};
use crate::run::{self, Run};
use crate::snapshot::TableUse;
use crate::span::Span;

/// Bits of a stage-2 leaf that [`S2Leaf`] has no field for: 63:59, FnXS, and nT in a block.
const S2_UNNAMED: u64 = 0b11111 << 59 | 1 << 11;
/// nT, bit 16 of a block.
const NT: u64 = 1 << 16;

const fn span(walked: &Walked) -> Span {
    Span::new(walked.ia, walked.size())
}

/// Walks stage 2 and gives its entries by IPA.
pub(super) fn stage2(
    cache: &mut TableCache,
    mem: &dyn PhysMem,
    regime: &Regime,
    user: TableUse,
    gathered: &mut Gathered,
) -> Vec<Run<S2Entry>> {
    let mut entries = Vec::new();
    let fwb = regime.fwb();
    cache.walk(mem, regime, |visit| match visit {
        Visit::Table { pa, .. } => gathered.table(pa, user),
        Visit::Leaf(walked) => {
            run::push(&mut entries, Run::new(span(&walked), S2Entry::Mapped(s2_leaf(&walked, fwb))));
        }
        Visit::Invalid(walked) => {
            run::push(&mut entries, Run::new(span(&walked), S2Entry::Annotated { raw: walked.desc }));
        }
        Visit::Malformed(walked, why) => {
            if gathered.malformed(&walked, why) {
                run::push(&mut entries, Run::new(span(&walked), S2Entry::Malformed { raw: walked.desc }));
            }
        }
    });
    entries
}

fn s2_leaf(walked: &Walked, fwb: bool) -> S2Leaf {
    let attrs = walked.stage2(fwb);
    let unnamed = S2_UNNAMED | desc::leaf_res0(walked.level) | if attrs.nt { NT } else { 0 };
    S2Leaf {
        offset: walked.oa().wrapping_sub(walked.ia),
        block: walked.level.shift() as u8,
        read: attrs.read,
        write: attrs.write,
        xn: bits(walked.desc, 54, 53) as u8,
        memattr: bits(walked.desc, 5, 2) as u8,
        fwb,
        sh: bits(walked.desc, 9, 8) as u8,
        af: attrs.af,
        contiguous: attrs.contiguous,
        dbm: attrs.dbm,
        sw: attrs.sw,
        other: walked.desc & unnamed,
    }
}

/// Walks EL2's stage 1 and gives its entries by virtual address.
pub(super) fn stage1(
    cache: &mut TableCache,
    mem: &dyn PhysMem,
    regime: &Regime,
    gathered: &mut Gathered,
) -> Vec<Run<S1Entry>> {
    let mut entries = Vec::new();
    let Stage::One(controls) = regime.stage else { return entries };
    let user = TableUse { el2: true, ..TableUse::default() };
    cache.walk(mem, regime, |visit| match visit {
        Visit::Table { pa, .. } => gathered.table(pa, user),
        Visit::Leaf(walked) => {
            run::push(&mut entries, Run::new(span(&walked), S1Entry::Mapped(s1_leaf(&walked, &controls))));
        }
        Visit::Invalid(_) => {}
        Visit::Malformed(walked, why) => {
            if gathered.malformed(&walked, why) {
                run::push(&mut entries, Run::new(span(&walked), S1Entry::Malformed { raw: walked.desc }));
            }
        }
    });
    entries
}

fn s1_leaf(walked: &Walked, controls: &Stage1Controls) -> S1Leaf {
    let attrs = walked.stage1();
    let allowed = attrs.el2_permissions(walked.tables, controls);
    S1Leaf {
        offset: walked.oa().wrapping_sub(walked.ia),
        block: walked.level.shift() as u8,
        write: allowed.write,
        exec: allowed.execute,
        mair: (controls.mair >> (8 * u32::from(attrs.attr_indx & 7))) as u8,
        sh: bits(walked.desc, 9, 8) as u8,
        af: attrs.af,
        contiguous: attrs.contiguous,
        sw: attrs.sw,
    }
}

impl Gathered {
    /// Takes note of a malformed entry; says whether it stands in the map as such. Bits that must be 0 do not keep an
    /// entry from working: in a leaf they are part of the leaf, for a table they are reported here.
    fn malformed(&mut self, walked: &Walked, why: Malformed) -> bool {
        match why {
            Malformed::Res0 { .. } if desc::kind(walked.desc, walked.level) == desc::Kind::Leaf => false,
            Malformed::Res0 { .. } => {
                self.faults.push(format!("input address {:#x}: {why}", walked.ia));
                false
            }
            _ => true,
        }
    }
}
