//! One address: what it translates to, or why it does not.

use std::fmt;

use parallax_addr::{InputAddr, PhysAddr};

use crate::annotation::Annotation;
use crate::attrs::Shareability;
use crate::desc::{self, Form, Level};
use crate::mem::{PhysMem, read_u64};
use crate::regime::{Regime, Stage};
use crate::regs::bit;
use crate::stage1::{Stage1Attrs, TableAttrs};
use crate::stage2::Stage2Attrs;
use crate::table::{What, classify};

/// A successful walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// Output address of the very address that was asked for.
    pub oa: PhysAddr,
    /// Level of the leaf.
    pub level: Level,
    /// The leaf.
    pub desc: u64,
    /// Physical address of the leaf itself.
    pub entry_pa: PhysAddr,
    /// Controls of the tables above (stage 1).
    pub tables: TableAttrs,
    /// How the leaf is read.
    pub form: Form,
}

impl Translation {
    /// The leaf's stage-2 fields.
    #[must_use]
    pub fn stage2(&self, fwb: bool) -> Stage2Attrs {
        let sh = Shareability::from_bits(self.form.shareability(self.desc));
        Stage2Attrs { sh, ..Stage2Attrs::decode(self.desc, self.level < Level::LAST, fwb) }
    }

    /// The leaf's stage-1 fields.
    #[must_use]
    pub fn stage1(&self) -> Stage1Attrs {
        let sh = Shareability::from_bits(self.form.shareability(self.desc));
        Stage1Attrs { sh, ..Stage1Attrs::decode(self.desc, self.level < Level::LAST) }
    }
}

/// Kinds of faults that a walk can end in. Permissions are for the caller to judge, by the leaf's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// Translation fault: the address has more bits than the regime translates.
    InputSize,
    /// Translation fault: the entry is invalid (zero or annotated).
    Invalid,
    /// Translation fault: the entry's encoding is reserved.
    Reserved,
    /// Address size fault: the entry points above the output size.
    AddressSize,
    /// Access flag fault.
    AccessFlag,
    /// External abort: the table cannot be read.
    Unreadable,
}

/// A walk that ended in a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    /// The address that was asked for.
    pub ia: InputAddr,
    /// Level of the entry that stopped the walk.
    pub level: Level,
    /// Why.
    pub kind: FaultKind,
    /// The entry, 0 when it was not read.
    pub desc: u64,
    /// Physical address of the entry.
    pub entry_pa: PhysAddr,
}

impl Fault {
    /// The annotation of the stage-2 entry that stopped the walk, if it has one.
    #[must_use]
    pub const fn annotation(&self) -> Option<Annotation> {
        Annotation::decode(self.desc)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ia, level, desc, entry_pa, .. } = self;
        let why = match self.kind {
            FaultKind::InputSize => return write!(f, "{ia:#014x} is above the input size"),
            FaultKind::Invalid => "translation fault",
            FaultKind::Reserved => "translation fault (reserved encoding)",
            FaultKind::AddressSize => "address size fault",
            FaultKind::AccessFlag => "access flag fault",
            FaultKind::Unreadable => {
                return write!(f, "{ia:#014x}: {level} entry at {entry_pa:#014x} unreadable");
            }
        };
        write!(f, "{ia:#014x}: {why} at {level}, entry {desc:#018x} at {entry_pa:#014x}")
    }
}

/// Walks `regime` for one input address.
///
/// # Errors
/// [`Fault`] when the hardware would take one before it looks at permissions.
pub fn translate<M: PhysMem + ?Sized>(mem: &M, regime: &Regime, ia: InputAddr) -> Result<Translation, Fault> {
    let (mut level, form) = (regime.start, regime.form());
    let mut tables = TableAttrs::default();
    if ia >= regime.ia_end() {
        let (kind, entry_pa) = (FaultKind::InputSize, regime.root);
        return Err(Fault { ia, level, kind, desc: 0, entry_pa });
    }
    // At the root the index counts through all concatenated tables.
    let mut entry_pa = regime.root.wrapping_add(8 * (ia.get() >> level.shift()));
    loop {
        let fault = |kind, desc| Fault { ia, level, kind, desc, entry_pa };
        let desc = read_u64(mem, entry_pa).map_err(|_| fault(FaultKind::Unreadable, 0))?;
        match classify(desc, level, form) {
            None | Some(What::Invalid) => return Err(fault(FaultKind::Invalid, desc)),
            Some(What::Reserved) => return Err(fault(FaultKind::Reserved, desc)),
            Some(What::AddressSize) => return Err(fault(FaultKind::AddressSize, desc)),
            Some(What::Leaf | What::LeafRes0) => {
                if !bit(desc, 10) && !regime.hw_af {
                    return Err(fault(FaultKind::AccessFlag, desc));
                }
                let oa =
                    desc::leaf_address(desc, level, form).wrapping_add(ia.get() & (level.entry_size() - 1));
                return Ok(Translation { oa, level, desc, entry_pa, tables, form });
            }
            Some(What::Table | What::TableRes0) => {
                if let Stage::One(_) = regime.stage {
                    tables = tables.and_below(TableAttrs::decode(desc));
                }
                let Some(next) = level.next() else { return Err(fault(FaultKind::Reserved, desc)) };
                level = next;
                entry_pa =
                    desc::table_address(desc, form).wrapping_add(8 * ((ia.get() >> level.shift()) & 511));
            }
        }
    }
}
