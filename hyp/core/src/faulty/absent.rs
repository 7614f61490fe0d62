//! No faults: everything passes as it is.

use crate::error::Error;
use crate::hw::{Cpu, Memory};
use crate::idmap::{Change, Idmap};
use crate::page_pool::PagePool;
pub(crate) use crate::pgtable::invalidate::{El2Tlb, HostTlb};
use crate::regions::{Kind, Range};
use crate::smmu::{Command, SmmuTlb, Ste};

/// The command that the queue gets.
#[inline(always)]
pub(crate) const fn command(command: Command) -> Option<Command> {
    Some(command)
}

/// The steps from an entry to another one.
#[inline(always)]
pub(crate) const fn steps(_from: &Ste, _to: &Ste, steps: [Ste; 3]) -> [Ste; 3] {
    steps
}

/// The hook.
#[inline(always)]
pub(crate) fn host_changed<H: Memory + Cpu, S: SmmuTlb>(
    idmap: &Idmap,
    hw: &H,
    driver: &mut S,
    pool: &mut PagePool,
    what: (Range, Kind),
    change: Change,
) -> Result<(), Error> {
    idmap.host_changed(hw, driver, pool, what, change)
}
