//! One result that waits for a review: what was agreed, what came out, line against line.

use std::path::{Path, PathBuf};

use similar::{ChangeTag, TextDiff};

use crate::golden::{self, GoldenError, Kinds};
use crate::text_diff;

/// A line on either side, or on both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// What was agreed.
    pub old: Option<String>,
    /// What came out.
    pub new: Option<String>,
}

impl Row {
    /// Whether both sides say the same.
    pub(super) fn same(&self) -> bool {
        self.old == self.new
    }
}

/// A result that waits.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// The pending golden, `*.snap.new`.
    pub pending: PathBuf,
    /// Its trace, as seen from the project's root.
    pub trace: PathBuf,
    /// All lines.
    pub rows: Vec<Row>,
    /// What kinds of lines differ.
    pub kinds: Kinds,
    /// How many findings it holds where none is wanted.
    pub findings: usize,
    /// Whether there is no golden yet.
    pub fresh: bool,
}

impl Item {
    /// Reads a pending golden, in the project at `root`, and the golden beside it.
    pub(super) fn load(root: &Path, pending: &Path) -> Result<Self, GoldenError> {
        let golden = pending.with_extension("");
        let old = golden::text(&golden)?;
        let new = golden::text(pending)?.unwrap_or_default();
        let wanted = pending.parent().and_then(Path::file_name).is_some_and(|folder| folder == "bad");
        let fresh = old.is_none();
        let old = old.unwrap_or_default();
        Ok(Self {
            trace: trace(root, &golden),
            rows: rows(&old, &new),
            kinds: Kinds::of_diff(&text_diff::unified(&old, &new)),
            findings: if wanted { 0 } else { golden::findings_in(pending)? },
            pending: pending.to_owned(),
            fresh,
        })
    }

    /// The operation that row `at` belongs to: its line in the trace.
    pub(super) fn operation(&self, at: usize) -> Option<usize> {
        let texts =
            self.rows[..self.rows.len().min(at + 1)].iter().rev().filter_map(|row| row.new.as_deref());
        texts.filter(|line| !line.starts_with(' ')).find_map(|line| line.split_once(':')?.0.parse().ok())
    }
}

/// The trace of a golden: the other way round than [`golden::Place`].
fn trace(root: &Path, golden: &Path) -> PathBuf {
    let file = golden.with_extension("trace");
    match file.strip_prefix(root.join("golden")) {
        Ok(inside) => Path::new("traces").join(inside),
        Err(_) => file,
    }
}

/// Lines side by side; what was replaced stands opposite to what replaces it.
fn rows(old: &str, new: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut open = 0;
    for change in TextDiff::from_lines(old, new).iter_all_changes() {
        let text = change.value().trim_end_matches('\n').to_owned();
        match change.tag() {
            ChangeTag::Equal => {
                rows.push(Row { old: Some(text.clone()), new: Some(text) });
                open = rows.len();
            }
            ChangeTag::Delete => rows.push(Row { old: Some(text), new: None }),
            ChangeTag::Insert => match rows[open..].iter_mut().find(|row| row.new.is_none()) {
                Some(row) => row.new = Some(text),
                None => rows.push(Row { old: None, new: Some(text) }),
            },
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_replaces_a_line_stands_opposite_to_it() {
        let row = |old: &str, new: &str| Row {
            old: Some(old.to_owned()).filter(|text| !text.is_empty()),
            new: Some(new.to_owned()).filter(|text| !text.is_empty()),
        };
        assert_eq!(
            rows("1: a\n2: b\n", "1: a\n2: c\n   cpu\n"),
            [row("1: a", "1: a"), row("2: b", "2: c"), row("", "   cpu")]
        );
        assert_eq!(
            rows("1: a\n   x\n2: b\n", "1: a\n2: b\n"),
            [row("1: a", "1: a"), row("   x", ""), row("2: b", "2: b")]
        );
    }

    #[test]
    fn a_golden_has_its_trace_in_the_same_place() {
        let root = Path::new("/p");
        assert_eq!(trace(root, Path::new("/p/golden/good/a.snap")), Path::new("traces/good/a.trace"));
        assert_eq!(trace(root, Path::new("/q/a.snap")), Path::new("/q/a.trace"));
    }
}
