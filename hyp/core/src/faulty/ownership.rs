//! Pages that are judged by less than their state, or of which a table is not told.

use crate::addr::{Ipa, PAGE_SIZE, PhysAddr};
use crate::error::Error;
use crate::fault::{Fault, on};
use crate::hw::{Cpu, Memory};
use crate::idmap::{Change, host_attrs};
use crate::ownership::{El2Mmu, HostMmu, Hyp, Transition};
use crate::page_pool::PagePool;
use crate::page_state::{PageState, State};
use crate::pgtable::attrs::El2Prot;
use crate::pgtable::{Content, Env, Level};
use crate::regions::{Kind, Range};
use crate::smmu::SmmuTlb;
use core::ops::{Deref, DerefMut};
use spin::RelaxStrategy;
use spin::mutex::{SpinMutex, SpinMutexGuard};

use super::HostTlb;

/// The state by which `page` of `range` is judged before `transition`.
#[inline(always)]
pub(crate) fn judged(right: PageState, transition: Transition, range: Range, page: PhysAddr) -> PageState {
    match transition {
        Transition::HostDonateHyp if page != range.base && on(Fault::HostDonateChecksFirstPageOnly) => {
            right.with(State::Owned, State::NoPage)
        }
        Transition::HypDonateHost if on(Fault::HypDonateIgnoresReference) => right.with_refcount(0),
        Transition::HostShareHyp if on(Fault::HostShareUnchecked) => PageState::default(),
        Transition::HostUnshareHyp if on(Fault::HostUnshareIgnoresPin) => right.with_refcount(0),
        _ => right,
    }
}

/// Comes when a page may be donated, while others of its range are still to be looked at.
#[inline(always)]
pub(crate) fn may_donate<H: Memory + Cpu>(
    hw: &H,
    host: &mut HostMmu,
    page: PhysAddr,
    transition: Transition,
) -> Result<(), Error> {
    if transition == Transition::HostDonateHyp && on(Fault::HostDonatePartial) {
        let content = host.content_after(Change::Lost, Kind::Memory);
        host.set(hw, Range { base: page, size: PAGE_SIZE }, content)?;
    }
    Ok(())
}

/// Performs `transition`, for which the pages were judged under these locks.
#[inline(always)]
pub(crate) fn perform<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy>(
    hyp: &Hyp<H, S, R>,
    (mut host, mut el2): (SpinMutexGuard<'_, HostMmu>, SpinMutexGuard<'_, El2Mmu>),
    what: (Range, Kind),
    transition: Transition,
) -> Result<(), Error> {
    let early = match transition {
        Transition::HostShareHyp => on(Fault::HostShareJudgedEarly),
        Transition::HostUnshareHyp => on(Fault::HostUnshareJudgedEarly),
        Transition::Pin => on(Fault::PinJudgedEarly),
        Transition::Unpin => on(Fault::UnpinJudgedEarly),
        Transition::HostDonateHyp => on(Fault::HostDonateJudgedEarly),
        Transition::HypDonateHost => on(Fault::HypDonateJudgedEarly),
        Transition::Hold | Transition::Release => false,
    };
    if !early {
        return hyp.perform(&mut host, &mut el2, what, transition);
    }
    drop((el2, host));
    let (mut host, mut el2) = (hyp.host.lock(), hyp.el2.lock());
    hyp.perform(&mut host, &mut el2, what, transition)
}

/// What `transition` makes of a page.
#[inline(always)]
pub(crate) fn page_state(right: PageState, transition: Transition) -> PageState {
    let stale = transition == Transition::HostDonateHyp && on(Fault::HostDonateStateStale);
    if stale { right.with(State::Owned, State::Owned) } else { right }
}

/// How EL2 has a page of `kind` mapped that it gives to the host.
#[inline(always)]
pub(crate) fn left_at_el2(right: Option<El2Prot>, kind: Kind) -> Option<El2Prot> {
    match kind {
        _ if !on(Fault::El2LeftMapped) && !on(Fault::El2UnmappedLate) => right,
        Kind::Memory => Some(El2Prot::Data),
        _ => Some(El2Prot::Device),
    }
}

/// How EL2 maps a page that is pinned.
#[inline(always)]
pub(crate) fn pinned(right: Option<El2Prot>) -> Option<El2Prot> {
    right.filter(|_| !on(Fault::PinNotMapped))
}

/// The part of a range of `kind` that changes in the host's table.
#[inline(always)]
pub(crate) fn changed_part(range: Range, kind: Kind, change: Change) -> Range {
    let donation = change == Change::Lost && kind == Kind::Memory;
    match range {
        Range { base, .. } if donation && on(Fault::HostDonateFirstPageOnly) => {
            Range { base, size: PAGE_SIZE }
        }
        Range { base, .. } if donation && on(Fault::HostDonateKeepsMapping) => Range { base, size: 0 },
        _ => range,
    }
}

/// Comes before the SMMU follows the host.
#[inline(always)]
pub(crate) fn before_smmu<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy>(
    hyp: &Hyp<H, S, R>,
    el2: &mut El2Mmu,
    (range, kind): (Range, Kind),
    change: Change,
) -> Result<(), Error> {
    match change {
        Change::Lost if kind == Kind::Memory && on(Fault::El2MappedEarly) => {
            return el2.set_linear(&hyp.hw, range, Some(El2Prot::Data));
        }
        Change::Gained if on(Fault::El2UnmappedLate) => return el2.set_linear(&hyp.hw, range, None),
        Change::Gained if on(Fault::SmmuMapUnlocked) => {}
        _ => return Ok(()),
    }
    let copy = hyp
        .smmu
        .lock()
        .as_ref()
        .and_then(|smmu| Some((smmu.idmap.tree?, smmu.idmap.content_after(change, kind))));
    let Some((tree, content)) = copy else { return Ok(()) };
    let mut env = Env { mem: &hyp.hw, pool: &mut el2.pool, tlb: &mut HostTlb(&hyp.hw) };
    tree.set(&mut env, range.base.0, range.size, content)
}

/// Comes when the host's mappings of `range`, which is MMIO, were recycled.
#[inline(always)]
pub(crate) fn recycled<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy>(hyp: &Hyp<H, S, R>, range: Range) {
    if on(Fault::SmmuRecyclePropagated)
        && let Some(mut el2) = hyp.el2.try_lock()
        && let Some(smmu) = hyp.smmu.lock().as_mut()
    {
        let what = (range, Kind::Mmio);
        smmu.idmap.host_changed(&hyp.hw, &mut smmu.driver, &mut el2.pool, what, Change::Lost).ok();
    }
}

/// The lowest level at which the host's fault may be mapped.
#[inline(always)]
pub(crate) fn fault_level(right: Level) -> Level {
    if on(Fault::HostFaultMapsOverAnnotation) { 2 } else { right }
}

/// What is mapped in `range` for the host's fault at `ia`.
#[inline(always)]
pub(crate) fn fault_content(right: Content, kind: Kind, ia: Ipa, range: Range) -> Content {
    if kind == Kind::Memory && on(Fault::HostFaultMapsWrongPa) {
        return Content::Map { offset: ia.0 - range.base.0, attrs: host_attrs(kind), largest: 1 };
    }
    right
}

/// The host's table, locked or not.
pub(crate) enum Host<G> {
    Locked(G),
    Copy(HostMmu),
}

impl<G: Deref<Target = HostMmu>> Deref for Host<G> {
    type Target = HostMmu;

    fn deref(&self) -> &HostMmu {
        match self {
            Self::Locked(host) => host,
            Self::Copy(host) => host,
        }
    }
}

impl<G: DerefMut<Target = HostMmu>> DerefMut for Host<G> {
    fn deref_mut(&mut self) -> &mut HostMmu {
        match self {
            Self::Locked(host) => host,
            Self::Copy(host) => host,
        }
    }
}

/// The host's table, in which a fault is mapped under its lock.
#[inline(always)]
pub(crate) fn fault_lock<'a, R: RelaxStrategy>(
    lock: &'a SpinMutex<HostMmu, R>,
    host: SpinMutexGuard<'a, HostMmu>,
) -> Host<SpinMutexGuard<'a, HostMmu>> {
    if on(Fault::HostFaultJudgedEarly) {
        drop(host);
        return Host::Locked(lock.lock());
    }
    if !on(Fault::HostMapUnlocked) {
        return Host::Locked(host);
    }
    let pool = PagePool::new(Range { size: 0, ..host.pool.range() });
    Host::Copy(HostMmu { pool, ..*host })
}

/// The part of `range` that is looked at to see how many tables it needs.
#[inline(always)]
pub(crate) fn counted(range: Range) -> Range {
    if on(Fault::HostTablesCountedShort) { Range { size: PAGE_SIZE, ..range } } else { range }
}

/// Whether no entry of the host's table may go.
#[inline(always)]
pub(crate) fn is_walked_by_devices(right: bool) -> bool {
    right && !on(Fault::SharedMmioRecycled)
}
