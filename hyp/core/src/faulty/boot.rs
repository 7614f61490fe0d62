//! What the host should not have when it starts.

use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::fault::{Fault, on};
use crate::hw::{Cpu, Memory};
use crate::ownership::boot::BootError;
use crate::ownership::{El2Mmu, HostMmu, Hyp};
use crate::regions::{Kind, Range, Regions};
use crate::smmu::SmmuTlb;
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
