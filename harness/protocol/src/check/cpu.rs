//! What each CPU has done lately.

use super::finding::{Site, Subject};
use super::first_use::Inherited;
use super::fresh::Fresh;
use super::locks::Held;
use super::owners::Move;
use crate::map::Map;

/// One CPU.
#[derive(Debug, Default)]
pub(super) struct Cpu {
    /// VTTBR_EL2, where it was written.
    pub(super) vttbr: Option<u64>,
    /// TTBR0_EL2.
    pub(super) ttbr0: Option<u64>,
    /// VTCR_EL2.
    pub(super) vtcr: Option<u64>,
    /// TCR_EL2.
    pub(super) tcr: Option<u64>,
    /// HCR_EL2.
    pub(super) hcr: Option<u64>,
    /// SCTLR_EL2.
    pub(super) sctlr: Option<u64>,
    /// The first write of a translation register since its last ISB.
    pub(super) unsynchronised: Option<Site>,
    /// What its TLBs may hold from before.
    pub(super) inherited: Inherited,
    /// ESR_EL2 as it was read since it entered EL2.
    pub(super) esr: Option<u64>,
    /// When it last did a DSB for stores (see `Checker::time`), in any domain.
    pub(super) dsb: u64,
    /// The same, in the inner shareable domain or wider.
    pub(super) dsb_shared: u64,
    /// The last barrier that orders stores.
    pub(super) ordered: u64,
    /// The last barrier that orders loads.
    pub(super) loads_ordered: u64,
    /// When it last read EVENTQ_PROD, and where.
    pub(super) eventq_prod: Option<(u64, Site)>,
    /// When it last read a record of the SMMU's event queue, and where.
    pub(super) event_read: Option<(u64, Site)>,
    /// Entries with a TLBI that no DSB has completed, with the time of the store that made each unclean.
    pub(super) sent: Vec<(u32, u64)>,
    /// Locks that it holds, and where it took each.
    pub(super) locks: Map<u64, Held>,
    /// Unclean entries of its making that nothing was said about yet.
    pub(super) open: usize,
    /// The first entry that it made valid since its last DSB.
    pub(super) publish: Option<(Site, Subject)>,
    /// What became mapped and unmapped by its stores since it entered EL2.
    pub(super) moves: Vec<Move>,
    /// What it has mapped for EL2 and not synchronised.
    pub(super) fresh: Fresh,
    /// It entered EL2 and has not returned.
    pub(super) inside: bool,
    /// What it has loaded since: by address the first instruction that did.
    pub(super) loads: Map<u64, Site>,
}

/// The CPUs by number; those that nothing was heard of do not exist.
#[derive(Debug, Default)]
pub(super) struct Cpus(Vec<Cpu>);

impl Cpus {
    pub(super) fn of(&mut self, cpu: u16) -> &mut Cpu {
        let index = usize::from(cpu);
        if self.0.len() <= index {
            self.0.resize_with(index + 1, Cpu::default);
        }
        &mut self.0[index]
    }

    pub(super) fn get(&self, cpu: u16) -> Option<&Cpu> {
        self.0.get(usize::from(cpu))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Cpu> {
        self.0.iter()
    }
}
