//! An SMMU that does not follow the host, or follows it wrongly, or starts from something else.

use crate::error::Error;
use crate::fault::{Fault, on};
use crate::hw::{Cpu, Memory};
use crate::idmap::{Change, Idmap};
use crate::page_pool::PagePool;
use crate::pgtable::{Attrs, Content, Descriptor, LAST_LEVEL, span};
use crate::regions::{Kind, Range};
use crate::smmu::SmmuTlb;

/// The hook, in place of the right one.
pub(crate) fn host_changed<H: Memory + Cpu, S: SmmuTlb>(
    idmap: &Idmap,
    hw: &H,
    driver: &mut S,
    pool: &mut PagePool,
    (range, kind): (Range, Kind),
    change: Change,
) -> Result<(), Error> {
    let page = span(LAST_LEVEL);
    let Some((tree, followed)) = idmap.follows(range) else {
        return idmap.host_changed(hw, driver, pool, (range, kind), change);
    };
    match change {
        Change::Lost if on(Fault::SmmuUnmapSkipped) => return Ok(()),
        Change::Gained if on(Fault::SmmuMapSkipped) => return Ok(()),
        Change::Lost if on(Fault::SmmuUnmapFirstPageOnly) => {
            return idmap.host_changed(hw, driver, pool, (Range { size: page, ..range }, kind), change);
        }
        Change::Gained if on(Fault::SmmuMapWrongAttr) => {
            return Idmap::set(tree, hw, driver, pool, followed, Content::identity(Attrs::smmu_device(), 1));
        }
        Change::Gained if on(Fault::SmmuMapDrifts) => {
            return (0..followed.size).step_by(page as usize).try_for_each(|at| {
                let offset = at.wrapping_neg();
                let content = Content::Map { offset, attrs: Attrs::smmu_normal(), largest: LAST_LEVEL };
                Idmap::set(tree, hw, driver, pool, Range { base: range.base.add(at), size: page }, content)
            });
        }
        _ => {}
    }
    idmap.host_changed(hw, driver, pool, (range, kind), change)
}

/// The host's entry, as the snapshot sees it.
#[inline(always)]
pub(crate) fn snapshot_entry(entry: Descriptor) -> Descriptor {
    let ignored = entry.is_annotated() && on(Fault::SmmuSnapshotIgnoresAnnotation);
    if ignored { Descriptor::ZERO } else { entry }
}

/// What the snapshot maps for `kind`.
#[inline(always)]
pub(crate) fn snapshot_content(right: Content, kind: Kind) -> Content {
    match (kind, right) {
        (Kind::Mmio, _) if on(Fault::SmmuSnapshotWrongAttr) => Content::identity(Attrs::smmu_normal(), 1),
        // SH.
        (Kind::Memory, Content::Map { offset, attrs, largest }) if on(Fault::SmmuIdmapNotShareable) => {
            Content::Map { offset, attrs: Attrs(attrs.0 & !(0b11 << 8)), largest }
        }
        _ => right,
    }
}
