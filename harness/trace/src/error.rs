//! What is wrong with a trace, and where.

use std::fmt;
use std::ops::Range;

/// Something wrong within one line: byte range, what stands there and what could stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) span: Range<usize>,
    pub(super) found: String,
    pub(super) expected: String,
}

impl Problem {
    pub(super) fn new(span: Range<usize>, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { span, found: found.into(), expected: expected.into() }
    }
}

/// A malformed trace. Shown as `file:line:column: what was found, what was expected`, with the line and a caret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceError {
    /// The trace, as the user named it.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters are concerned (at least 1).
    pub width: usize,
    /// The whole line.
    pub text: String,
    /// What stands there.
    pub found: String,
    /// What could stand there.
    pub expected: String,
}

impl TraceError {
    pub(super) fn new(path: &str, line: usize, text: &str, problem: Problem) -> Self {
        let chars = |range: Range<usize>| text.get(range).map_or(0, |part| part.chars().count());
        let start = problem.span.start.min(text.len());
        let end = problem.span.end.clamp(start, text.len());
        Self {
            path: path.to_owned(),
            line,
            column: chars(0..start) + 1,
            width: chars(start..end).max(1),
            text: text.to_owned(),
            found: problem.found,
            expected: problem.expected,
        }
    }
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, column, expected, .. } = self;
        let found = part(&self.found, 0);
        writeln!(f, "{path}:{line}:{column}: found {found}, expected {expected}")?;
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        // Of a long line what stands around the culprit.
        let begin = if self.text.chars().count() > MOST { (column - 1).saturating_sub(BEFORE) } else { 0 };
        let at = column - 1 - begin + usize::from(begin != 0);
        let width = self.width.min(MOST.saturating_sub(at).max(1));
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {}", part(&self.text, begin))?;
        write!(f, "{margin} | {}{}", " ".repeat(at), "^".repeat(width))
    }
}

/// Most characters of a line that are shown, and how many of them stand before the culprit.
const MOST: usize = 160;
const BEFORE: usize = 40;

/// The characters of `text` from number `begin` on, as many as are shown, printable; `…` stands for what is left out.
fn part(text: &str, begin: usize) -> String {
    let mut chars = text.chars().skip(begin);
    let shown: String = chars.by_ref().take(MOST).collect();
    let left_out = |is_it| if is_it { "…" } else { "" };
    format!("{}{}{}", left_out(begin != 0), printable(&shown), left_out(chars.next().is_some()))
}

/// `text` with nothing in it that a terminal would obey; of the same length in characters.
fn printable(text: &str) -> String {
    let shown = |c| match c {
        '\t' => ' ',
        c if char::is_control(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(shown).collect()
}

impl std::error::Error for TraceError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caret_stands_under_the_culprit_in_characters_not_bytes() {
        let text = "nop é x";
        let error = TraceError::new("t.trace", 12, text, Problem::new(7..8, "`x`", "nothing"));
        assert_eq!(
            error.to_string(),
            "t.trace:12:7: found `x`, expected nothing\n   |\n12 | nop é x\n   |       ^"
        );
    }

    #[test]
    fn what_is_in_a_trace_does_not_command_the_terminal() {
        let text = "nop \x1b[2J";
        let error = TraceError::new("t", 1, text, Problem::new(4..8, format!("`{}`", &text[4..]), "nothing"));
        assert!(!error.to_string().contains('\x1b'), "{error}");
    }

    #[test]
    fn of_a_long_line_the_part_around_the_culprit_is_shown() {
        let text = format!("nop {} x {}", "a".repeat(500), "b".repeat(3_000_000));
        let error = TraceError::new("t", 1, &text, Problem::new(505..506, "`x`", "nothing")).to_string();
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines[2].chars().filter(|c| *c == '…').count(), 2);
        let at = |line: &str, what| line.chars().position(|c| c == what).unwrap();
        assert_eq!(at(lines[2], 'x'), at(lines[3], '^'), "{error}");
        let found = Problem::new(4..3_000_000, text[4..].to_owned(), "nothing");
        assert!(TraceError::new("t", 1, &text, found).to_string().len() < 1000);
    }

    #[test]
    fn end_of_line_still_gets_a_caret() {
        let error = TraceError::new("t", 1, "nop", Problem::new(3..3, "end of line", "more"));
        assert_eq!((error.column, error.width), (4, 1));
    }
}
