//! What `parallax attach` must show of a Xen with its dom0.

/// A row that must be there: words that it begins with after the first, what comes after the range, and how it ends.
struct Row {
    /// What is said of a missing one.
    name: &'static str,
    space: &'static str,
    words: &'static [&'static str],
    end: &'static str,
}

/// Dom0 has a stage 2; EL2 executes what nobody may write there, and has all of RAM in one piece.
const ROWS: &[Row] = &[
    Row { name: "dom0 executes its memory", space: "cpu", words: &["RWX", "normal"], end: "" },
    Row { name: "EL2 executes what it cannot write", space: "el2", words: &["R-X", "normal"], end: "" },
    Row { name: "EL2 has RAM from its start", space: "el2", words: &["RW-", "normal"], end: "-> 0x40000000" },
    Row { name: "EL2 has a device", space: "el2", words: &["RW-", "Device"], end: "" },
];
/// Dom0's stage 2 has a VMID of Xen's, which is not 0.
const STAGE2: &str = "regs  CPU stage 2: enabled=1 VMID=";

/// What is wrong with `shown`, if something is.
pub(super) fn wrong(shown: &str) -> Option<String> {
    let rows: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    let vmid = shown.lines().filter_map(|line| line.strip_prefix(STAGE2));
    if !vmid.clone().any(|rest| rest.starts_with(|first: char| matches!(first, '1'..='9'))) {
        return Some(format!("no line begins with {STAGE2:?} and a VMID that is not 0"));
    }
    for row in ROWS {
        let is = |line: &str, found: &[&str]| {
            let [space, range, rest @ ..] = found else { return false };
            *space == row.space
                && range.starts_with("0x")
                && row.words.iter().zip(rest).filter(|(one, other)| other.starts_with(**one)).count()
                    == row.words.len()
                && line.ends_with(row.end)
        };
        if !shown.lines().zip(&rows).any(|(line, found)| is(line, found)) {
            let (space, words, end) = (row.space, row.words.join(" "), row.end);
            return Some(format!("no line is as `{space}  0x…  {words} … {end}`: {}", row.name));
        }
    }
    let bad = rows.iter().find(|found| {
        found.first() == Some(&"el2") && found.get(2).is_some_and(|rights| rights.get(1..) == Some("WX"))
    });
    bad.map(|row| format!("something at EL2 is writable and executable: {}", row.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
regs  CPU stage 2: enabled=1 VMID=1 table=0x7fff0000
cpu  0x50000000..0x70000000  RWX normal inner shareable
el2  0xa0000200000..0xa0000300000  R-X normal inner shareable -> 0x7fe00000
el2  0xa0000300000..0xa0000400000  RW- normal inner shareable -> 0x7fd00000
el2  0x850000000000..0x850040000000  RW- normal inner shareable -> 0x40000000
el2  0xa0000400000..0xa0000401000  RW- Device-nGnRE -> 0x9000000
";

    #[test]
    fn each_row_is_missed_and_what_nobody_may_have_is_seen() {
        assert_eq!(wrong(GOOD), None);
        for (was, is, said) in [
            ("VMID=1", "VMID=0", "VMID"),
            ("  RWX normal", "  RW- normal", "dom0 executes"),
            ("  R-X normal", "  R-- normal", "EL2 executes"),
            ("-> 0x40000000\n", "-> 0x400000000\n", "from its start"),
            ("Device-nGnRE", "normal", "a device"),
            ("  RW- Device", "  RWX normal x\nel2  0x1  RW- Device", "writable and executable"),
        ] {
            assert!(GOOD.contains(was));
            let found = wrong(&GOOD.replace(was, is)).unwrap_or_default();
            assert!(found.contains(said), "{was} {is}: {found}");
        }
    }
}
