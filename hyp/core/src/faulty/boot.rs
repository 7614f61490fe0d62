//! What the host should not have when it starts.

use crate::fault::{Fault, on};
use crate::hw::{Cpu, Memory};
use crate::ownership::boot::BootError;
use crate::ownership::{El2Mmu, HostMmu, Hyp};
use crate::regions::Range;
use crate::smmu::SmmuTlb;
use spin::RelaxStrategy;

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

/// Comes before MMIO is donated, and that before the snapshot.
#[inline(always)]
pub(crate) fn before_donation<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy>(
    hyp: &Hyp<H, S, R>,
    host: &mut HostMmu,
    el2: &mut El2Mmu,
) -> Result<(), BootError> {
    if on(Fault::SmmuSnapshotUpdateLost) { hyp.snapshot(host, el2) } else { Ok(()) }
}
