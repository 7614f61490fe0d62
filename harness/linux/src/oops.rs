//! A kernel that died says so on its console.

/// What it says first, and what else must be in the line.
const DEATHS: [(&str, &str); 4] = [
    ("Kernel panic", " - "),
    ("Unable to handle kernel ", "at virtual address"),
    ("Internal error: ", "[#"),
    ("Oops", "[#"),
];

/// What the kernel died of, if `line` of the console says that it did. Only the kernel's own words count, which stand at
/// the beginning of a line or behind its time stamp: others may talk of an oops.
pub(super) fn death(line: &str) -> Option<&str> {
    DEATHS.iter().find_map(|(words, more)| {
        let at = line.find(words)?;
        let own = at == 0 || line[..at].ends_with("] ");
        (own && line[at..].contains(more)).then(|| line[at..].trim_end())
    })
}

/// So many lines are shown of the console of a kernel that died: its trace and what led to it.
const LAST_LINES: usize = 40;

/// The end of what it printed.
pub(super) fn last_lines(printed: &str) -> Vec<String> {
    let lines: Vec<_> = printed.lines().map(|line| line.trim().to_owned()).collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_is_heard() {
        for line in [
            "[    0.42] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r",
            "[    0.42][    T1] Internal error: Oops: 0000000096000004 [#1] SMP",
            "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000010",
            "half a line[    2.00] Internal error: synchronous external abort: 96000010 [#1]  SMP",
            "[    1.00] Oops: general protection fault [#1]",
        ] {
            assert!(death(line).is_some(), "{line}");
        }
        let line = "[ 0.4] Kernel panic - not syncing: Oops: Fatal exception \r";
        assert_eq!(death(line), Some("Kernel panic - not syncing: Oops: Fatal exception"));
    }

    #[test]
    fn talk_of_it_is_none() {
        for line in [
            "[    0.00] Kernel command line: console=ttyAMA0 oops=panic panic=-1",
            "[    0.10] pstore: Using crash dump compression: Kernel panic, Oops",
            "PLX note <3>Internal error: Oops: 96000004 [#1] SMP",
            "Internal error: no such table",
            "Oops, wrong disk",
        ] {
            assert_eq!(death(line), None, "{line}");
        }
    }
    #[test]
    fn the_end_of_a_console_is_shown() {
        let printed: String = (1..=50).map(|number| format!("    line {number}\r\n")).collect();
        let lines = last_lines(&printed);
        assert_eq!((lines[0].as_str(), lines[39].as_str(), lines.len()), ("line 11", "line 50", 40));
        assert_eq!(last_lines("one"), ["one"]);
    }
}
