//! Commands that stand in the queue and were not given to the SMMU.

use parallax_smmu::command::{Command, CommandKind};

use super::checker::Checker;
use super::finding::Site;

impl Checker {
    /// The first TLBI command that was put into the queue after `time`, and that CMDQ_PROD has not been moved past.
    pub(super) fn waiting_tlbi(&self, time: u64) -> Option<(Site, CommandKind)> {
        let queue = self.smmu.queue.as_ref()?;
        let size = 1_u64 << queue.log2;
        (self.smmu.prod..self.smmu.prod + size)
            .map_while(|index| {
                let slot = index % size;
                let (site, stored) = *queue.slots.get(slot as usize)?;
                let at = queue.base + slot * 16;
                let command = Command([self.memory.read(at), self.memory.read(at + 8)]);
                (stored > time).then_some((site, command.kind()))
            })
            .find(|(_, kind)| {
                matches!(
                    kind,
                    CommandKind::TlbiS2Ipa
                        | CommandKind::TlbiS12Vmall
                        | CommandKind::TlbiNsnhAll
                        | CommandKind::TlbiNhAll
                )
            })
    }
}
