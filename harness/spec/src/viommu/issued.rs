//! What the SMMU is given is what the host commanded, and what the hypervisor itself needs (docs/viommu.md; IHI 0070, chapter 4).

use parallax_model::smmu_state::Queue;
use parallax_smmu::{Command, CommandKind};
use parallax_vmsa::PhysMem;

/// Commands that may come of one that the host gave, for each stream that it is about: its entry is written dword by dword.
const OF_A_STREAM: u64 = 8;

/// The host's commands of a step, as the SMMU should be given them.
#[derive(Clone, Debug, Default)]
pub(super) struct Issued {
    commands: Vec<Command>,
    /// Streams whose entries may have changed meanwhile.
    pub(super) streams: u64,
}

impl Issued {
    /// The host gave `command`, which is performed. An SMMU with `ranges` has IDR3.RIL.
    pub(super) fn push(&mut self, command: &Command, ranges: bool) {
        let kept = kept(command, ranges);
        let mut rebuilt = Command([u64::from(command.kind().number()), 0]);
        for place in command.kind().places().iter().filter(|place| kept.contains(&place.name)) {
            rebuilt.0[place.word] |= command.0[place.word] & place.mask();
        }
        if !matches!(command.kind(), CommandKind::PrefetchConfig | CommandKind::PrefetchAddr) {
            self.commands.push(rebuilt);
        }
    }

    /// What is wrong with the commands that the SMMU was given in `queue`, from CMDQ_PROD `before` to `after`. Nothing where they cannot be
    /// read, or the queue may have come round.
    pub(super) fn differs(
        &self,
        queue: Queue,
        (before, after): (u32, u32),
        memory: &dyn PhysMem,
    ) -> Option<String> {
        let length = 1_u64 << queue.log2size.min(20);
        let of_streams = self.streams.saturating_add(1).saturating_mul(OF_A_STREAM);
        let most = of_streams.saturating_add(self.commands.len() as u64);
        if most >= length {
            return None;
        }
        let mut wanted = self.commands.iter().peekable();
        let (first, end) = (u64::from(before), u64::from(after));
        for index in 0..end.wrapping_sub(first) & (2 * length - 1) {
            let slot = first.wrapping_add(index) & (length - 1);
            let mut bytes = [0; Command::SIZE];
            memory.read(queue.base.wrapping_add(slot * Command::SIZE as u64), &mut bytes).ok()?;
            let given = Command::from_bytes(&bytes);
            if wanted.next_if_eq(&&given).is_none() && !is_the_hypervisors(&given) {
                let wanted = wanted.peek().map_or_else(|| "no command".to_owned(), ToString::to_string);
                return Some(format!("expected {wanted}, the SMMU was given {given}"));
            }
        }
        wanted.next().map(|wanted| format!("expected {wanted}, the SMMU was not given it"))
    }
}

/// Whether `command`, which the host may give, names a range of addresses (4.4.1).
pub(super) fn is_ranged(command: &Command, ranges: bool) -> bool {
    ranges && command.field("TG").is_some_and(|granule| granule != 0)
}

/// Fields that the SMMU is given as the host had them; all others are zero.
fn kept(command: &Command, ranges: bool) -> &'static [&'static str] {
    match command.kind() {
        CommandKind::CfgiSte => &["StreamID", "Leaf"],
        // CMD_CFGI_ALL.
        CommandKind::CfgiSteRange if command.field("Range") == Some(31) => &["Range"],
        CommandKind::CfgiSteRange => &["StreamID", "Range"],
        CommandKind::CfgiCd => &["StreamID", "SubstreamID", "Leaf"],
        CommandKind::CfgiCdAll => &["StreamID"],
        CommandKind::TlbiNhAsid => &["ASID"],
        CommandKind::TlbiNhVa | CommandKind::TlbiNhVaa if is_ranged(command, ranges) => {
            &["ASID", "Address", "Leaf", "NUM", "SCALE", "TTL", "TG"]
        }
        CommandKind::TlbiNhVa | CommandKind::TlbiNhVaa => &["ASID", "Address", "Leaf"],
        CommandKind::Sync => &["CS"],
        _ => &[],
    }
}

/// Whether the hypervisor may give `command` for its own tables.
const fn is_the_hypervisors(command: &Command) -> bool {
    matches!(
        command.kind(),
        CommandKind::CfgiSte
            | CommandKind::CfgiSteRange
            | CommandKind::TlbiNhAll
            | CommandKind::TlbiNsnhAll
            | CommandKind::TlbiS12Vmall
            | CommandKind::TlbiS2Ipa
            | CommandKind::Sync
    )
}

#[cfg(test)]
mod tests {
    use parallax_addr::PhysAddr;

    use super::*;
    use crate::fakes::Memory;

    const QUEUE: u64 = 0x4040_0000;
    const RANGED: Command = Command([0x12 | 31 << 12 | 14 << 20 | 5 << 32 | 9 << 48, 0x1234_5401]);
    const SYNC: Command = Command([0x46, 0]);
    const CFGI: Command = Command([3 | 8 << 32, 1]);

    /// What is wrong where the host gave `commands` and the SMMU was given `given`, across the queue's end.
    fn wrong(commands: &[Command], given: &[Command], streams: u64) -> Option<String> {
        let mut issued = Issued { commands: Vec::new(), streams };
        commands.iter().for_each(|command| issued.push(command, true));
        let (memory, first) = (Memory::default(), 31);
        let queue = Queue { base: PhysAddr::new(QUEUE), log2size: 5, below: 0 };
        for (index, command) in (first..).zip(given) {
            let at = QUEUE + index % 32 * 16;
            memory.0.borrow_mut().extend((at..).step_by(8).zip(command.0));
        }
        let end = (first + given.len() as u64) as u32 & 63;
        issued.differs(queue, (first as u32, end), &memory)
    }

    #[test]
    fn fields_that_are_the_hosts_are_kept_and_others_are_zero() {
        let rebuilt = Command([RANGED.0[0] & !(5 << 32), RANGED.0[1]]);
        assert_eq!(wrong(&[RANGED], &[rebuilt, SYNC], 0), None);
        assert!(wrong(&[RANGED], &[RANGED, SYNC], 0).is_some());
        let narrow = Command([rebuilt.0[0] & !(16 << 12), rebuilt.0[1]]);
        assert!(wrong(&[RANGED], &[narrow, SYNC], 0).is_some());
        let message = Command([0x46 | 1 << 12, 0x4008_0000]);
        assert_eq!(wrong(&[message], &[Command([0x46 | 1 << 12, 0])], 0), None);
        assert_eq!(wrong(&[Command([0x01, 0])], &[], 0), None);
    }

    #[test]
    fn the_hypervisors_own_commands_come_between() {
        assert_eq!(wrong(&[CFGI, SYNC], &[CFGI, SYNC, CFGI, SYNC, SYNC], 1), None);
        assert_eq!(wrong(&[], &[Command([0x2a, 0x1000]), SYNC], 0), None);
        let says = "expected no command, the SMMU was given CMD_ATC_INV";
        assert!(wrong(&[], &[Command([0x40, 0])], 0).unwrap().starts_with(says));
        let says = "expected CMD_CFGI_STE SSec=0 StreamID=8 Leaf=1, the SMMU was not given it";
        assert_eq!(wrong(&[CFGI], &[SYNC], 1).as_deref(), Some(says));
    }

    #[test]
    fn of_a_queue_that_may_have_come_round_nothing_is_said() {
        assert_eq!(wrong(&[CFGI], &[SYNC], 3), None);
    }
}
