//! What a walk comes across, as a snapshot holds it.

use parallax_addr::{HypVa, Ipa, Point, Span};
use parallax_vmsa::regs::bits;
use parallax_vmsa::walk::{Malformed, Run as Walked, Visit};
use parallax_vmsa::{Regime, Stage, Stage1Controls, desc};

use crate::leaf::{S1Entry, S1Leaf, S2Entry, S2Leaf};
use crate::run::Run;
use crate::told::OwnerForm;

/// Bits of a stage-2 leaf that [`S2Leaf`] has no field for: 63:59, FnXS, and nT in a block.
const S2_UNNAMED: u64 = 0b11111 << 59 | 1 << 11;
/// nT, bit 16 of a block.
const NT: u64 = 1 << 16;

fn span<A: Point>(walked: &Walked) -> Span<A> {
    Span::new(A::at(walked.ia.get()), walked.size())
}

/// What a snapshot holds of a table's entries.
pub(super) trait Entry: Clone + PartialEq {
    /// What it is an entry for.
    type Address: Point + std::fmt::Debug;

    /// The run for what was visited, where there is to be one. Entries that are not valid name owners in the form `owners`.
    fn of(visit: &Visit, regime: &Regime, owners: OwnerForm) -> Option<Run<Self::Address, Self>>;
}

impl Entry for S2Entry {
    type Address = Ipa;

    fn of(visit: &Visit, regime: &Regime, owners: OwnerForm) -> Option<Run<Self::Address, Self>> {
        let (walked, entry) = match visit {
            Visit::Table { .. } => return None,
            Visit::Leaf(walked) => (walked, Self::Mapped(s2_leaf(walked, regime.fwb()))),
            Visit::Invalid(walked) => (walked, Self::Annotated { raw: owners.typed(walked.desc) }),
            Visit::Malformed(walked, why) => {
                (walked, stands(why).then_some(Self::Malformed { raw: walked.desc })?)
            }
        };
        Some(Run::new(span(walked), entry))
    }
}

impl Entry for S1Entry {
    type Address = HypVa;

    fn of(visit: &Visit, regime: &Regime, _: OwnerForm) -> Option<Run<Self::Address, Self>> {
        let Stage::One(controls) = regime.stage else { return None };
        let (walked, entry) = match visit {
            Visit::Table { .. } | Visit::Invalid(_) => return None,
            Visit::Leaf(walked) => (walked, Self::Mapped(s1_leaf(walked, &controls))),
            Visit::Malformed(walked, why) => {
                (walked, stands(why).then_some(Self::Malformed { raw: walked.desc })?)
            }
        };
        Some(Run::new(span(walked), entry))
    }
}

/// Whether a malformed entry stands in the map as such. Bits that must be 0 do not keep an entry from working: in a
/// leaf they are part of the leaf, for a table they are a [`fault`].
const fn stands(why: &Malformed) -> bool {
    !matches!(why, Malformed::Res0 { .. })
}

/// What is wrong with a table, where the map does not say it.
pub(super) fn fault(visit: &Visit) -> Option<String> {
    match visit {
        Visit::Malformed(walked, why @ Malformed::Res0 { .. })
            if desc::kind(walked.desc, walked.level, walked.form) != desc::Kind::Leaf =>
        {
            Some(format!("input address {:#x}: {why}", walked.ia))
        }
        _ => None,
    }
}

fn s2_leaf(walked: &Walked, fwb: bool) -> S2Leaf {
    let attrs = walked.stage2(fwb);
    let unnamed = S2_UNNAMED | desc::leaf_res0(walked.level, walked.form) | if attrs.nt { NT } else { 0 };
    S2Leaf {
        offset: walked.oa().get().wrapping_sub(walked.ia.get()),
        block: walked.level.shift() as u8,
        read: attrs.read,
        write: attrs.write,
        xn: bits(walked.desc, 54, 53) as u8,
        memattr: bits(walked.desc, 5, 2) as u8,
        fwb,
        sh: walked.sh(),
        af: attrs.af,
        contiguous: attrs.contiguous,
        dbm: attrs.dbm,
        sw: attrs.sw,
        other: walked.desc & unnamed,
    }
}

fn s1_leaf(walked: &Walked, controls: &Stage1Controls) -> S1Leaf {
    let attrs = walked.stage1();
    let allowed = attrs.el2_permissions(walked.tables, controls);
    S1Leaf {
        offset: walked.oa().get().wrapping_sub(walked.ia.get()),
        block: walked.level.shift() as u8,
        write: allowed.write,
        exec: allowed.execute,
        mair: (controls.mair >> (8 * u32::from(attrs.attr_indx & 7))) as u8,
        sh: walked.sh(),
        af: attrs.af,
        contiguous: attrs.contiguous,
        sw: attrs.sw,
    }
}
