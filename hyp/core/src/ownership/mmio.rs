//! MMIO that changes hands. There are no page states for it: the host's table alone tells who owns it.

use super::transition::Transition;
use super::{El2Mmu, HostMmu, Hyp};
use crate::error::Error;
use crate::hw::{Cpu, Memory};
use crate::idmap::piece;
use crate::pgtable::Descriptor;
use crate::regions::{Kind, Range};
use crate::smmu::SmmuTlb;
use spin::RelaxStrategy;

impl<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy> Hyp<H, S, R> {
    /// The frames `pfn` to `pfn + nr - 1` as MMIO in one region.
    fn mmio_range(&self, pfn: u64, nr: u64) -> Result<Range, Error> {
        match self.range(pfn, nr)? {
            (range, Kind::Mmio) => Ok(range),
            (_, Kind::NoMap | Kind::Kept) => Err(Error::Perm),
            (_, Kind::Memory) => Err(Error::Inval),
        }
    }

    /// Whether `test` holds for all entries of the host's table that translate a part of `range`.
    fn all_entries(&self, host: &HostMmu, range: Range, test: impl Fn(Descriptor) -> bool) -> bool {
        let mut ia = range.base.0;
        while ia < range.end() {
            let (entry, next) = piece(&self.hw, &host.tree, ia, range.end());
            if !test(entry) {
                return false;
            }
            ia = next;
        }
        true
    }

    /// The host gives `nr` pages of MMIO from frame `pfn` on to the hypervisor; only before it runs.
    ///
    /// # Errors
    /// [`Error::Inval`] for a bad range or memory, [`Error::Perm`] when the host runs or a page is taken already,
    /// [`Error::NoMem`].
    #[inline(never)]
    pub fn host_donate_hyp_mmio(&self, pfn: u64, nr: u64) -> Result<(), Error> {
        let range = self.mmio_range(pfn, nr)?;
        let (mut host, mut el2) = (self.host.lock(), self.el2.lock());
        self.host_donate_hyp_mmio_locked(&mut host, &mut el2, range)
    }

    /// The same under the locks, for `range` in one region of MMIO.
    pub(super) fn host_donate_hyp_mmio_locked(
        &self,
        host: &mut HostMmu,
        el2: &mut El2Mmu,
        range: Range,
    ) -> Result<(), Error> {
        if host.running || !self.all_entries(host, range, |entry| !entry.is_annotated()) {
            return Err(Error::Perm);
        }
        self.perform(host, el2, (range, Kind::Mmio), Transition::HostDonateHyp)
    }

    /// The hypervisor gives `nr` pages of MMIO from frame `pfn` on back to the host: it never does. What it took before the
    /// host ran it took because the host must not have it.
    ///
    /// # Errors
    /// [`Error::Inval`] for a bad range, memory, or a page that the hypervisor does not own, [`Error::Busy`] for a
    /// device that the hypervisor itself uses, [`Error::Perm`] for all other pages.
    #[inline(never)]
    pub fn hyp_donate_host_mmio(&self, pfn: u64, nr: u64) -> Result<(), Error> {
        let range = self.mmio_range(pfn, nr)?;
        if !self.all_entries(&self.host.lock(), range, |entry| entry == Descriptor::OWNED_BY_HYP) {
            return Err(Error::Inval);
        }
        if self.devices.iter().flatten().any(|device| device.overlaps(range)) {
            return Err(Error::Busy);
        }
        Err(Error::Perm)
    }
}
