//! What an operation did on two revisions, made so that the two can be compared.

/// A story without what differs between any two builds: code addresses, disassembly, lines of source.
#[must_use]
pub fn comparable(story: &str) -> String {
    let code = |line: &&str| {
        let line = line.trim_start_matches([' ', '>']);
        !line.starts_with("0x") && !line.starts_with("in ")
    };
    let mut text = String::new();
    for line in story.lines().filter(code) {
        let line =
            line.split_once(" (").filter(|(_, rest)| rest.contains(".rs:")).map_or(line, |(line, _)| line);
        let (line, offset) = line.rsplit_once("+0x").unwrap_or((line, ""));
        let hex = |text: &str| text.chars().all(|c| c.is_ascii_hexdigit());
        let offset = if line.contains("::") && hex(offset) { String::new() } else { format!("+0x{offset}") };
        let offset = if offset == "+0x" { String::new() } else { offset };
        let indent = line.len() - line.trim_start().len();
        let words: Vec<&str> = line.split_whitespace().collect();
        text += &format!("{}{}{offset}\n", " ".repeat(indent), words.join(" "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_builds_that_do_the_same_have_the_same_story() {
        let one = "cpu L3 ram+0x0..+0x1000\n  by  cpu0, <Tree>::split (hyp/core/src/a.rs:2)\n      in <Tree>::set+0x48c (a.rs:1)\n\
                   \x20     > 0xa0: str x1\nthen  cpu0 dsb sy   <A>::b+0x5 (hyp/a.rs:9)\n";
        let other = "cpu L3 ram+0x0..+0x1000\n  by  cpu0, <Tree>::split (hyp/core/src/a.rs:7)\nthen  cpu0 dsb sy <A>::b+0x9 (hyp/a.rs:3)\n";
        assert_eq!(comparable(one), comparable(other));
        assert!(comparable(one).starts_with("cpu L3 ram+0x0..+0x1000\n"));
    }
}
