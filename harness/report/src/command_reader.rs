//! SMMU commands, read from the stores that put them into the queue.

use parallax_model::Span;
use parallax_smmu::Command;

/// Bytes of a command (IHI 0070, 4.1.1).
const COMMAND: u64 = 16;

/// Puts the two dwords of each command together: the second one is stored last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommandReader {
    queue: Span,
    /// A first dword whose second one is to come, and where it stands.
    first: Option<(u64, u64)>,
}

impl CommandReader {
    /// For the queue at `queue`.
    pub(crate) const fn new(queue: Span) -> Self {
        Self { queue, first: None }
    }

    /// Whether `pa` lies in the queue.
    pub(crate) fn is_queue(&self, pa: u64) -> bool {
        self.queue.contains(pa)
    }

    /// The command that is complete once the dword at `pa` is `value`.
    pub(crate) fn store(&mut self, pa: u64, value: u64) -> Option<Command> {
        if !self.queue.contains(pa) {
            return None;
        }
        if pa.is_multiple_of(COMMAND) {
            self.first = Some((pa, value));
            return None;
        }
        let (at, first) = self.first.take()?;
        (at + 8 == pa).then_some(Command([first, value]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_complete_with_its_second_dword() {
        let mut reader = CommandReader::new(Span::new(0x1000, 0x100));
        assert_eq!(reader.store(0x1010, 0x46), None);
        assert_eq!(reader.store(0x1018, 7), Some(Command([0x46, 7])));
        assert_eq!(reader.store(0x1018, 7), None, "without a first one");
        assert_eq!(reader.store(0x1020, 1), None);
        assert_eq!(reader.store(0x1038, 2), None, "of another command");
        assert_eq!(reader.store(0x2008, 2), None, "not in the queue");
    }
}
