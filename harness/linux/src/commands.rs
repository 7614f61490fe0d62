//! The commands that the kernel gave its SMMU, and what became of them.

use std::collections::BTreeMap;
use std::fmt;

use parallax_abi::smmu_host::{COMMANDS, HostSmmu, IGNORED, ISSUED, REFUSED};
use parallax_smmu::Command;

/// Refused commands that are shown whole.
const SHOWN: usize = 20;

/// All commands, by what they are and what became of them.
#[derive(Debug, Default)]
pub struct Commands {
    seen: u64,
    missed: u64,
    counts: BTreeMap<(&'static str, &'static str), u64>,
    refused: Vec<String>,
}

impl Commands {
    /// Takes in those that came since the last time. The hypervisor remembers the last 64.
    pub fn read(&mut self, host: &HostSmmu) {
        let first = host.commands.saturating_sub(COMMANDS as u64).max(self.seen);
        self.missed += first - self.seen;
        for number in first..host.commands {
            let entry = host.last[(number % COMMANDS as u64) as usize];
            let verdict = match entry.verdict {
                ISSUED if entry.issued == entry.words => "issued",
                ISSUED => "issued, changed",
                IGNORED => "ignored",
                REFUSED => "refused",
                _ => "unknown",
            };
            let command = Command(entry.words);
            *self.counts.entry((command.kind().name(), verdict)).or_default() += 1;
            if entry.verdict == REFUSED && self.refused.len() < SHOWN {
                self.refused.push(format!("number {number}: {command}"));
            }
        }
        self.seen = self.seen.max(host.commands);
    }
}

impl fmt::Display for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {} commands of the kernel to its SMMU, {} not seen", self.seen, self.missed)?;
        for ((name, verdict), count) in &self.counts {
            writeln!(f, "  {count:>9}  {name:<19} {verdict}")?;
        }
        self.refused.iter().try_for_each(|command| writeln!(f, "  refused {command}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_counts_once_and_what_was_overwritten_is_missed() {
        let mut host = HostSmmu { commands: 2, ..HostSmmu::default() };
        host.last[0].words = [0x46, 0];
        host.last[0].issued = [0x46, 0];
        host.last[0].verdict = ISSUED;
        host.last[1].words = [0x28, 0];
        host.last[1].verdict = REFUSED;
        let mut commands = Commands::default();
        commands.read(&host);
        commands.read(&host);
        assert_eq!((commands.seen, commands.missed, commands.refused.len()), (2, 0, 1));
        assert_eq!(commands.counts[&("CMD_SYNC", "issued")], 1);
        host.commands = 70;
        commands.read(&host);
        assert_eq!((commands.seen, commands.missed), (70, 4));
    }
}
