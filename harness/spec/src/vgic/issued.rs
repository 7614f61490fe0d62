//! What the ITS is given is what the host commanded, and SYNCs (docs/masters.md; IHI 0069, 5.3).

use parallax_gic::{Command, CommandKind};
use parallax_model::ItsState;
use parallax_vmsa::PhysMem;

/// What is wrong with the commands that the ITS was given between two states, where the host's were `commanded` and each MAPD
/// may bring so many `syncs`. Nothing where the queue cannot be read, or may have come round.
pub(super) fn differ(
    commanded: &[Command],
    syncs: usize,
    (before, after): (&ItsState, &ItsState),
    memory: &dyn PhysMem,
) -> Option<String> {
    let maps = commanded.iter().filter(|command| command.kind() == CommandKind::Mapd).count();
    let most = (commanded.len() + maps * syncs) as u64 * Command::BYTES;
    let within = |size: u64| most < size && before.next_command < size && after.next_command < size;
    let queue = after.queue.filter(|queue| before.queue == Some(*queue) && within(queue.size))?;
    let mut wanted = commanded.iter().peekable();
    let mut at = before.next_command;
    while at != after.next_command {
        let mut bytes = [0; Command::BYTES as usize];
        memory.read(queue.base.wrapping_add(at), &mut bytes).ok()?;
        let given = Command::from_bytes(&bytes);
        if wanted.next_if(|wanted| is_same(wanted, &given)).is_none() && given.kind() != CommandKind::Sync {
            let wanted = wanted.peek().map_or_else(|| "no command".to_owned(), ToString::to_string);
            return Some(format!("expected {wanted}, the ITS was given {given}"));
        }
        at = (at + Command::BYTES) % queue.size;
    }
    wanted.next().map(|wanted| format!("expected {wanted}, the ITS was not given it"))
}

/// Whether both say the same. Of a MAPD or MAPC that takes something out, only what it is counts.
fn is_same(wanted: &Command, given: &Command) -> bool {
    let takes_out = wanted.field("V") == Some(0);
    let counts = |name: &str| !takes_out || matches!(name, "DeviceID" | "ICID" | "V");
    let fields = wanted.kind().places().iter().filter(|place| counts(place.name));
    wanted.kind() == given.kind()
        && fields.map(|place| place.name).all(|name| wanted.field(name) == given.field(name))
}

#[cfg(test)]
mod tests {
    use parallax_addr::{PAGE_SIZE, PhysAddr, Span};

    use super::*;
    use crate::fakes::Memory;

    const QUEUE: u64 = 0x4040_0000;
    const MAPD: Command = Command([8 | 8 << 32, 4, 1 << 63 | 0x4602_0000, 0]);
    const UNMAP: Command = Command([8 | 8 << 32, 9, 0x100, 7]);
    const MOVALL: Command = Command([0xe, 0, 0, 1 << 16]);
    const SYNC: Command = Command([5, 0, 1 << 16, 0]);

    fn its(next_command: u64) -> ItsState {
        ItsState {
            enabled: true,
            frame: Span::new(PhysAddr::new(0x808_0000), 0x1_0000),
            queue: Some(Span::new(PhysAddr::new(QUEUE), PAGE_SIZE)),
            next_command,
            incoherent: Vec::new(),
            tables: Vec::new(),
            devices: Vec::new(),
            collections: Vec::new(),
            events: Vec::new(),
        }
    }

    /// What is wrong where the host commanded `commanded` and the ITS was given `given`, across the queue's end.
    fn wrong(commanded: &[Command], given: &[Command]) -> Option<String> {
        let (memory, first) = (Memory::default(), PAGE_SIZE - Command::BYTES);
        let slot = |index: usize| (first + index as u64 * Command::BYTES) % PAGE_SIZE;
        for (index, command) in given.iter().enumerate() {
            memory.0.borrow_mut().extend((QUEUE + slot(index)..).step_by(8).zip(command.0));
        }
        differ(commanded, 2, (&its(first), &its(slot(given.len()))), &memory)
    }

    #[test]
    fn the_its_is_given_the_hosts_commands_and_syncs() {
        assert_eq!(wrong(&[], &[]), None);
        assert_eq!(wrong(&[MAPD, SYNC], &[MAPD, SYNC]), None);
        assert_eq!(wrong(&[MAPD, UNMAP], &[MAPD, SYNC, Command([8 | 8 << 32, 0, 0, 0]), SYNC, SYNC]), None);
        // A SYNC of the host's may be one that came for something else.
        assert_eq!(wrong(&[SYNC], &[SYNC]), None);
    }

    #[test]
    fn one_that_is_missing_another_or_too_many_is_told() {
        let swapped = Command([0xe, 0, 1 << 16, 0]);
        let says =
            "expected MOVALL RDbase=0x0 RDbase2=0x10000, the ITS was given MOVALL RDbase=0x10000 RDbase2=0x0";
        assert_eq!(wrong(&[MOVALL], &[swapped]).as_deref(), Some(says));
        let says = "expected MOVALL RDbase=0x0 RDbase2=0x10000, the ITS was not given it";
        assert_eq!(wrong(&[MOVALL], &[SYNC]).as_deref(), Some(says));
        let says = "expected no command, the ITS was given MOVALL RDbase=0x0 RDbase2=0x10000";
        assert_eq!(wrong(&[MAPD], &[MAPD, MOVALL]).as_deref(), Some(says));
        assert!(wrong(&[MAPD, MOVALL], &[MOVALL, MAPD]).is_some());
        assert!(wrong(&[UNMAP], &[MAPD]).is_some());
    }

    #[test]
    fn of_a_queue_that_may_have_come_round_nothing_is_said() {
        assert_eq!(wrong(&[MOVALL; 128], &[SYNC]), None);
        assert_eq!(wrong(&[MAPD; 43], &[SYNC]), None);
        assert!(wrong(&[MOVALL; 127], &[SYNC]).is_some());
    }
}
