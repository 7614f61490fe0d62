//! What the host should not have when it starts, and what somebody left in memory and in the SMMU before.

use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::fault::{Fault, on};
use crate::hw::{Cpu, Memory, Mmio};
use crate::ownership::boot::BootError;
use crate::ownership::{El2Mmu, HostMmu, Hyp};
use crate::page_pool::PagePool;
use crate::regions::{Kind, Range, Regions};
use crate::smmu::SmmuTlb;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use spin::RelaxStrategy;

/// The page of fw_cfg on QEMU's `virt` board.
const FW_CFG: PhysAddr = PhysAddr(0x902_0000);

/// The part of the hypervisor's `range` that is annotated in the host's table, whose own pool begins as the page pool does.
#[inline(always)]
pub(crate) fn annotated(range: Range, host: &HostMmu) -> Range {
    let open = range.base == host.pool.range().base && on(Fault::PoolNotAnnotated);
    if open { Range { size: 0, ..range } } else { range }
}

/// The SMMU's frame, if it is donated.
#[inline(always)]
pub(crate) fn donated_frame(frame: Option<Range>) -> Option<Range> {
    frame.filter(|_| !on(Fault::SmmuMmioNotDonated))
}

/// What every address is.
#[inline(always)]
pub(crate) fn kept(mut regions: Regions) -> Regions {
    if on(Fault::FwCfgLeftToHost) {
        let page = Range { base: FW_CFG, size: PAGE_SIZE };
        regions.set(page, Kind::Mmio).unwrap_or_else(|error| panic!("{error}"));
    }
    regions
}

/// Comes before MMIO is donated, and that before the snapshot.
#[inline(always)]
pub(crate) fn before_donation<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy>(
    hyp: &Hyp<H, S, R>,
    host: &mut HostMmu,
    el2: &mut El2Mmu,
) -> Result<(), BootError> {
    if on(Fault::SmmuSnapshotUpdateLost) { hyp.snapshot(host, el2) } else { Ok(()) }
}

/// Whether something lies in a region, so that the page pool cannot.
#[inline(always)]
pub(crate) fn is_taken(right: bool) -> bool {
    right && !on(Fault::PoolOverLoaded)
}

/// The first byte and the size of memory that nobody may map.
#[must_use]
#[inline(always)]
pub fn no_map((base, size): (u64, u64)) -> (u64, u64) {
    (base, if on(Fault::NoMapFirstPageOnly) { size.min(PAGE_SIZE) } else { size })
}

/// Whether there is no SMMU to use, which was looked for at `frame`.
#[must_use]
#[inline(always)]
pub fn is_off(right: bool, frame: Option<Range>) -> bool {
    right || frame.is_none() && on(Fault::SmmuAtRootOnly)
}

/// Has `register`, the address of an MSI, name no memory.
#[inline(always)]
pub(crate) fn clear_msi(regs: &impl Mmio, register: u64) {
    if !on(Fault::SmmuMsiKept) {
        regs.write64(register, 0);
    }
}

/// Memory whose pages cannot be cleared.
struct Unzeroed<'a, M>(&'a M);

impl<M: Memory> Memory for Unzeroed<'_, M> {
    fn read(&self, pa: PhysAddr) -> u64 {
        self.0.read(pa)
    }
    fn write(&self, pa: PhysAddr, value: u64) {
        self.0.write(pa, value);
    }
    fn write_release(&self, pa: PhysAddr, value: u64) {
        self.0.write_release(pa, value);
    }
    fn zero_page(&self, _pa: PhysAddr) {}
}

/// The first byte of the pool that page states and EL2's and the SMMU's tables come from.
static COMMON: AtomicU64 = AtomicU64::new(0);

/// Memory for the page states: `pages` pages, zero.
#[inline(always)]
pub(crate) fn page_states<M: Memory>(pool: &mut PagePool, mem: &M, pages: u64) -> Option<PhysAddr> {
    COMMON.store(pool.range().base.0, Relaxed);
    match on(Fault::PageStatesNotCleared) {
        true => pool.alloc_contiguous(&Unzeroed(mem), pages, PAGE_SIZE),
        false => pool.alloc_contiguous(mem, pages, PAGE_SIZE),
    }
}

/// A page for a table that was never handed out, zero.
#[inline(always)]
pub(crate) fn table_page<M: Memory>(pool: &mut PagePool, mem: &M) -> Option<PhysAddr> {
    match on(Fault::TablesNotCleared) && pool.range().base.0 == COMMON.load(Relaxed) {
        true => pool.alloc_contiguous(&Unzeroed(mem), 1, PAGE_SIZE),
        false => pool.alloc_contiguous(mem, 1, PAGE_SIZE),
    }
}
