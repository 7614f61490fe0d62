//! Differences between two texts, line by line.

use similar::TextDiff;

/// Lines shown around a difference.
const CONTEXT: usize = 3;

/// The difference as `-` and `+` lines with some lines around them; empty when there is none.
#[must_use]
pub fn unified(old: &str, new: &str) -> String {
    TextDiff::from_lines(old, new)
        .unified_diff()
        .context_radius(CONTEXT)
        .missing_newline_hint(false)
        .to_string()
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
}
