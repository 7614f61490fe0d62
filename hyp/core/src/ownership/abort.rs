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

impl<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy> Hyp<H, S, R> {
    /// The host's CPU found no valid entry for `ipa` at stage 2. Maps the largest block around it that lies in one region and
    /// covers nothing annotated, if the host owns the page: whether it is there now, so that the host can repeat the access.
    pub fn host_abort(&self, ipa: Ipa) -> bool {
        let ia = ipa.align_down(PAGE_SIZE);
        let region = self.regions.find(ia.identity());
        let Some(region) = region.filter(|region| region.kind != Kind::Kept) else {
            return false;
        };
        let host = self.host.lock();
        let (entry, level) = host.tree.walk(&self.hw, ia.0);
        if entry.is_valid() {
            // Another CPU was faster.
            return faulty::is_there(true);
        }
        if entry.is_annotated() {
            return false;
        }
        let block = |level: Level| Range { base: ia.align_down(span(level)).identity(), size: span(level) };
        let levels = faulty::fault_level(level).max(host.largest(region.kind))..=LAST_LEVEL;
        let Some(range) = levels.map(block).find(|block| region.range.contains(*block)) else {
            return false;
        };
        let content = Content::identity(host_attrs(region.kind), host.largest(region.kind));
        let content = faulty::fault_content(content, region.kind, ia, range);
        let mut host = faulty::fault_lock(&self.host, host);
        let mapped =
            self.reserve_host(&mut host, range, content).and_then(|()| host.set(&self.hw, range, content));
        mapped.is_ok()
    }
}
