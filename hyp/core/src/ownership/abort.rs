//! Aborts of the host at stage 2: its memory and MMIO are mapped when it first touches them.

use super::Hyp;
use crate::addr::{Ipa, PAGE_SIZE};
use crate::faulty;
use crate::hw::{Cpu, Memory};
use crate::idmap::host_attrs;
use crate::pgtable::{Content, LAST_LEVEL, Level, span};
use crate::regions::{Kind, Range};
use crate::smmu::SmmuTlb;
use spin::RelaxStrategy;

/// What stage 2 found wrong (Arm ARM, ESR_EL2.ISS.DFSC and IFSC). Other faults are not for [`Hyp::host_abort`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortKind {
    /// No valid entry.
    Translation,
    /// The entry's access flag is clear.
    AccessFlag,
    /// The entry does not permit the access.
    Permission,
}

impl AbortKind {
    /// From the fault status code (6 bits); `None` for codes that no change of the table can help.
    #[must_use]
    pub const fn from_fsc(fsc: u64) -> Option<Self> {
        match fsc & 0x3c {
            0x04 => Some(Self::Translation),
            0x08 => Some(Self::AccessFlag),
            0x0c => Some(Self::Permission),
            _ => None,
        }
    }
}

/// What to do about an abort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostAbort {
    /// The mapping is there now: let the host repeat the access.
    Retry,
    /// The host may not: inject an abort into it.
    Inject,
}

impl<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy> Hyp<H, S, R> {
    /// The host took an abort at stage 2 on `ipa`. Maps the largest block around it that lies in one region and
    /// covers nothing annotated, if the host owns the page.
    pub fn host_abort(&self, ipa: Ipa, kind: AbortKind) -> HostAbort {
        let ia = ipa.align_down(PAGE_SIZE);
        let region = self.regions.find(ia.identity());
        let Some(region) = region.filter(|region| matches!(region.kind, Kind::Memory | Kind::Mmio)) else {
            return HostAbort::Inject;
        };
        let host = self.host.lock();
        let (entry, level) = host.tree.walk(&self.hw, ia.0);
        if entry.is_valid() {
            // Another CPU was faster, or the access itself is not permitted: code in MMIO.
            let refused = kind == AbortKind::Permission && entry.attrs().is_execute_never();
            return if refused { HostAbort::Inject } else { HostAbort::Retry };
        }
        if entry.is_annotated() {
            return HostAbort::Inject;
        }
        let block = |level: Level| Range { base: ia.align_down(span(level)).identity(), size: span(level) };
        let levels = faulty::fault_level(level).max(host.largest(region.kind))..=LAST_LEVEL;
        let Some(range) = levels.map(block).find(|block| region.range.contains(*block)) else {
            return HostAbort::Inject;
        };
        let content = Content::identity(host_attrs(region.kind), host.largest(region.kind));
        let content = faulty::fault_content(content, region.kind, ia, range);
        let mut host = faulty::fault_lock(host);
        let mapped =
            self.reserve_host(&mut host, range, content).and_then(|()| host.set(&self.hw, range, content));
        if mapped.is_ok() { HostAbort::Retry } else { HostAbort::Inject }
    }
}
