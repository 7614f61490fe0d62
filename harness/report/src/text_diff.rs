//! Differences between two texts, line by line.

use parallax_model::GoldenLine;
use similar::{ChangeTag, TextDiff};

/// Lines shown around a difference.
const CONTEXT: usize = 3;

/// Whether two texts say the same: of a finding what each side says at its place is shown and not compared, and how the
/// last line ends is no difference.
#[must_use]
pub fn same(old: &str, new: &str) -> bool {
    old.lines().map(GoldenLine::compared).eq(new.lines().map(GoldenLine::compared))
}

/// The difference as `-` and `+` lines with some lines around them; empty when both are the [`same`]. Where the lines around
/// do not reach back to the operation that the first one belongs to, the line with `@@` names it.
#[must_use]
pub fn unified(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let [olds, news] =
        [&old, &new].map(|lines| lines.iter().map(|line| GoldenLine::compared(line)).collect::<Vec<_>>());
    let diff = TextDiff::from_slices(&olds, &news);
    let mut text = String::new();
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        text.push_str(&hunk.header().to_string());
        let first = hunk.ops().first().map_or(0, |op| op.old_range().start);
        if let Some(operation) = operation(&old, first) {
            text.push(' ');
            text.push_str(operation);
        }
        text.push('\n');
        for change in hunk.iter_changes() {
            let line = match (change.tag(), change.old_index(), change.new_index()) {
                (ChangeTag::Delete, Some(index), _) => old[index],
                (_, _, Some(index)) => new[index],
                _ => change.value(),
            };
            text.push_str(&format!("{}{line}\n", change.tag()));
        }
    }
    text
}

/// The operation above line `first`, if that belongs to one.
fn operation<'a>(lines: &[&'a str], first: usize) -> Option<&'a str> {
    let inside = lines.get(first).is_some_and(|line| line.starts_with(' '));
    let above = lines[..first.min(lines.len())].iter().rev();
    let named = above.copied().find(|line| !line.starts_with(' ')).filter(|_| inside)?;
    named.starts_with(|c: char| c.is_ascii_digit()).then_some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_shown() {
        assert_eq!(unified("a\nb\n", "a\nb\n"), "");
        let diff = unified("a\nb\n", "a\nc\n");
        assert!(diff.contains("-b\n+c\n"), "{diff}");
    }

    #[test]
    fn how_the_last_line_ends_is_no_difference() {
        assert!(same("1: x -> ok", "1: x -> ok\n"));
        assert_eq!(unified("1: x -> ok", "1: x -> ok\n"), "");
        assert_eq!(unified("1: x -> ok", "1: x -> ok\n   a"), "@@ -1 +1,2 @@\n 1: x -> ok\n+   a\n");
        assert_eq!(unified("", "a"), "@@ -0,0 +1 @@\n+a\n");
    }

    #[test]
    fn what_each_side_says_of_a_finding_is_no_difference() {
        let text = |view: &str| {
            format!("1: x -> ok\n   ! sync/extra smmu ram+0x0..+0x1000: wrong [cpu: RWX; smmu: {view}]\n")
        };
        assert!(same(&text("RW"), &text("unmapped")));
        assert_eq!(unified(&text("RW"), &text("unmapped")), "");
        let more = unified(&text("RW"), &(text("unmapped") + "2: y -> ok\n"));
        assert!(more.ends_with("[cpu: RWX; smmu: unmapped]\n+2: y -> ok\n"), "{more}");
        assert!(!same(&text("RW"), &text("RW").replace("0x1000", "0x2000")));
        assert!(!same("   cpu  a [cpu: b]", "   cpu  a [cpu: c]"), "of a finding only");
    }

    #[test]
    fn an_operation_that_is_too_far_above_is_named() {
        let old = "1: x -> ok\n2: y -> ok\n   a\n   b\n   c\n   d\n   e\n";
        assert_eq!(
            unified(old, &old.replace("   e\n", "   f\n")),
            "@@ -4,4 +4,4 @@ 2: y -> ok\n    b\n    c\n    d\n-   e\n+   f\n"
        );
        let near = unified(old, &old.replace("   a\n", ""));
        assert!(near.starts_with("@@ -1,6 +1,5 @@\n"), "{near}");
    }
}
