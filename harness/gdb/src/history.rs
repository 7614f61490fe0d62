//! The operations of a trace as a list: their names, and where one stands among them.

use std::fmt::Write as _;

use parallax_engine::visible;

/// How many operations are shown before and behind the next one.
const AROUND: usize = 10;

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Line of the trace.
    pub line: u64,
    /// What it is.
    pub text: String,
    /// Its result, if it is known already.
    pub result: Option<String>,
}

impl Named {
    /// The CPU that performs it.
    pub(super) fn cpu(&self) -> usize {
        let word = self.text.split(' ').next().and_then(|word| word.strip_prefix("cpu="));
        word.and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// The operation and its result in one line, without an end.
    pub(super) fn shown(&self) -> String {
        match &self.result {
            Some(result) => format!("{}: {} -> {result}", self.line, self.text),
            None => format!("{}: {}", self.line, self.text),
        }
    }
}

/// The operations of `list` around number `next`, or `all` of them; a mark before that one.
pub(super) fn list(list: &[Named], next: usize, all: bool) -> String {
    let (from, to) = match all {
        true => (0, list.len()),
        false => (next.saturating_sub(AROUND), list.len().min(next + AROUND)),
    };
    let mut out = String::new();
    if from > 0 {
        let _ = writeln!(out, "   ({from} before; `monitor ops all` shows them)");
    }
    for (index, operation) in list.iter().enumerate().take(to).skip(from) {
        let mark = if index == next { "=>" } else { "  " };
        let _ = writeln!(out, "{mark} {}", operation.shown());
    }
    if to < list.len() {
        let _ = writeln!(out, "   ({} more; `monitor ops all` shows them)", list.len() - to);
    }
    if next >= list.len() {
        out.push_str("=> the end\n");
    }
    out
}

/// How many operations have been performed after the one in `line`; 0 for the boot.
pub(super) fn after(list: &[Named], line: u64) -> Result<usize, String> {
    if line == 0 {
        return Ok(0);
    }
    let found = list.iter().position(|operation| operation.line == line);
    let last = list.last().map_or(0, |operation| operation.line);
    found.map(|index| index + 1).ok_or_else(|| {
        format!(
            "no operation stands in line {line}; the last one is in line {last}, `monitor ops` lists them"
        )
    })
}

/// Where one stands after `performed` operations of `list`.
pub(super) fn standing(list: &[Named], performed: usize) -> String {
    let last = after_text(list, performed);
    match list.get(performed) {
        Some(next) => format!("{last}\nnext  {}: {}\n", next.line, next.text),
        None => format!("{last}\nthat was the last one\n"),
    }
}

/// The last one of `performed` operations of `list`, as the moment after it.
pub(super) fn after_text(list: &[Named], performed: usize) -> String {
    match performed.checked_sub(1).and_then(|index| list.get(index)) {
        Some(operation) => format!("after {}", operation.shown()),
        None => "after the boot".to_owned(),
    }
}

/// What was found after the boot and the operations of `list` behind it: `found` has lines for each of them, as far as they were
/// performed.
pub(super) fn found<'a>(list: &[Named], found: impl IntoIterator<Item = &'a [String]>) -> String {
    let mut out = String::new();
    for (performed, lines) in found.into_iter().enumerate().filter(|(_, lines)| !lines.is_empty()) {
        let _ = writeln!(out, "  {}", after_text(list, performed));
        lines.iter().for_each(|line| _ = writeln!(out, "  {line}"));
    }
    out
}

/// The operations as a source file in which each stands in its own line; and those lines, with the end's behind them.
/// Lines that do not ascend, or that would make a file of no use, are counted from 1 instead.
pub(super) fn source(list: &[Named]) -> (String, Vec<u64>) {
    let ascending = list.windows(2).all(|pair| pair[0].line < pair[1].line);
    let most = list.len() as u64 * 16 + 1000;
    let as_named = ascending && list.iter().all(|operation| (1..=most).contains(&operation.line));
    let mut text = String::new();
    let mut lines = Vec::with_capacity(list.len() + 1);
    let mut line = 1;
    for (operation, number) in list.iter().zip(1..) {
        let wanted = if as_named { operation.line } else { number };
        while line < wanted {
            text.push('\n');
            line += 1;
        }
        let shown = operation.shown();
        let (_, shown) = shown.split_once(": ").unwrap_or_default();
        text.push_str(&visible::line(shown));
        text.push('\n');
        lines.push(line);
        line += 1;
    }
    lines.push(line);
    text.push_str("# the end\n");
    (text, lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(line: u64, text: &str) -> Named {
        Named { line, text: text.to_owned(), result: Some("ok".to_owned()) }
    }

    #[test]
    fn each_operation_stands_in_its_line_of_the_source() {
        let (text, lines) = source(&[named(2, "nop"), named(5, "snapshot")]);
        assert_eq!(text, "\nnop -> ok\n\n\nsnapshot -> ok\n# the end\n");
        assert_eq!(lines, [2, 5, 6]);
        assert_eq!((named(1, "nop").cpu(), named(1, "cpu=3 nop").cpu()), (0, 3));
    }

    #[test]
    fn lines_that_make_no_sense_are_counted() {
        let (text, lines) = source(&[named(4_000_000_000, "a\nb"), named(1, "c")]);
        assert_eq!(text, "a\\nb -> ok\nc -> ok\n# the end\n");
        assert_eq!(lines, [1, 2, 3]);
    }

    #[test]
    fn what_was_found_stands_below_its_operation() {
        let (operations, lines) = ([named(1, "a"), named(3, "b")], ["! x".to_owned()]);
        assert_eq!(found(&operations, [&[][..], &lines, &[]]), "  after 1: a -> ok\n  ! x\n");
        assert_eq!(found(&operations, [&lines[..]]), "  after the boot\n  ! x\n");
    }

    #[test]
    fn the_next_operation_is_marked() {
        let operations = [named(1, "a"), named(3, "b")];
        assert_eq!(list(&operations, 1, false), "   1: a -> ok\n=> 3: b -> ok\n");
        assert!(list(&operations, 2, true).ends_with("=> the end\n"));
        assert_eq!(after(&operations, 3), Ok(2));
        assert!(after(&operations, 2).is_err());
        assert_eq!(standing(&operations, 1), "after 1: a -> ok\nnext  3: b\n");
    }
}
