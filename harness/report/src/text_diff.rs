//! Differences between two texts, line by line.

use similar::TextDiff;

/// Lines shown around a difference.
const CONTEXT: usize = 3;

/// The difference as `-` and `+` lines with some lines around them; empty when there is none: how the last line ends is none. Where the lines around
/// do not reach back to the operation that the first one belongs to, the line with `@@` names it.
#[must_use]
pub fn unified(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let diff = TextDiff::from_slices(&old, &new);
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
            text.push_str(&format!("{}{}\n", change.tag(), change.value()));
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
        assert_eq!(unified("1: x -> ok", "1: x -> ok\n"), "");
        assert_eq!(unified("1: x -> ok", "1: x -> ok\n   a"), "@@ -1 +1,2 @@\n 1: x -> ok\n+   a\n");
        assert_eq!(unified("", "a"), "@@ -0,0 +1 @@\n+a\n");
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
