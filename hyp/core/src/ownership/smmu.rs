//! The SMMU: its driver, and the table that it walks.

use crate::error::Error;
use crate::faulty;
use crate::hw::{Cpu, Memory};
use crate::idmap::{Change, Idmap};
use crate::page_pool::PagePool;
use crate::regions::{Kind, Range};
use crate::smmu::SmmuTlb;

/// The SMMU as the owner of the host's pages sees it.
#[derive(Debug)]
pub(super) struct SmmuMmu<S> {
    pub(super) driver: S,
    pub(super) idmap: Idmap,
}

impl<S: SmmuTlb> SmmuMmu<S> {
    /// The host lost or gained `range`: [`Idmap::host_changed`].
    pub(super) fn host_changed<H: Memory + Cpu>(
        &mut self,
        hw: &H,
        pool: &mut PagePool,
        what: (Range, Kind),
        change: Change,
    ) -> Result<(), Error> {
        faulty::host_changed(&self.idmap, hw, &mut self.driver, pool, what, change)
    }
}
