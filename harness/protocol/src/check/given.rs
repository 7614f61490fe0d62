//! Commands that the SMMU is given: by CMDQ_PROD, and once more by GERRORN. It stands still at a command that it refuses until
//! CMDQ_ERR is acknowledged, and then reads that command again and those behind it (IHI 0070, 7.1).

use std::ops::Range;

use super::checker::Checker;
use super::finding::{Near, Site, Subject};
use super::rule::Rule;

/// CMDQ_ERR of GERROR and GERRORN.
const CMDQ_ERR: u32 = 1;

impl Checker {
    /// The SMMU reads the commands in `range` from now on, by a write of `register` on this CPU: they are visible to it.
    pub(super) fn given(&mut self, at: Site, range: Range<u64>, register: &str) {
        let Some(queue) = &self.smmu.queue else { return };
        let dsb = self.cpus.get(at.cpu).map_or(0, |cpu| cpu.dsb_shared);
        let is_early = |index: &u64| {
            let slot = queue.slots.get((index % (1 << queue.log2)) as usize);
            slot.is_some_and(|(by, time)| by.cpu == at.cpu && *time > dsb)
        };
        let Some(index) = range.clone().find(is_early) else { return };
        let what = format!("given to the SMMU by {register} before it was visible");
        let missing = format!("DSB between the stores to the queue and the one to {register}");
        self.report(Rule::CommandUnordered, Subject::Command(index), at, None, what, missing);
    }

    /// GERRORN is written: where CMDQ_ERR changes, the SMMU goes on.
    pub(super) fn acknowledged(&mut self, at: Site, value: u32) {
        let before = std::mem::replace(&mut self.smmu.gerrorn, value);
        if (before ^ value) & CMDQ_ERR != 0 && self.smmu.cmdqen {
            self.given(at, self.smmu.cons..self.smmu.prod, "GERRORN");
        }
    }

    /// CMD_SYNC number `index` is given.
    pub(super) fn sync_given(&mut self, at: Site, index: u64) {
        let slot =
            self.smmu.queue.as_ref().map(|queue| queue.slots.get((index % (1 << queue.log2)) as usize));
        self.smmu.last_sync = match slot {
            Some(slot) => slot.copied(),
            None => Some((at, self.time)),
        };
    }

    /// The last CMD_SYNC that was given, where it was put into the queue after `time`: of what was changed then, and told to go
    /// by `command` with no CMD_SYNC behind, it completes nothing.
    pub(super) fn sync_before(&self, time: u64, command: &str) -> Option<Near> {
        let (site, stored) = self.smmu.last_sync?;
        let what = format!("CMD_SYNC came before {command}, which it was to complete");
        (stored > time).then_some(Near { at: Some(site), what })
    }
}
