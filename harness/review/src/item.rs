//! One result that waits for a review: what was agreed, what came out, line against line.

use std::path::{Path, PathBuf};

use similar::{ChangeTag, TextDiff};

use parallax_engine::Reproducer;
use parallax_report::golden::{self, Changed, GoldenError, Kinds, Objection, Shape};
use parallax_report::text_diff;

/// A line on either side, or on both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What was agreed.
    pub old: Option<String>,
    /// What came out.
    pub new: Option<String>,
}

impl Row {
    /// Whether both sides say the same.
    pub fn same(&self) -> bool {
        self.old == self.new
    }
}

/// A result that waits.
#[derive(Clone, Debug)]
pub struct Item {
    /// The pending golden, `*.snap.new`.
    pub pending: PathBuf,
    /// Its trace, as seen from the project's root.
    pub trace: PathBuf,
    /// What both files held when they were read: what was shown is what is taken.
    read: [Option<String>; 2],
    /// All lines.
    pub rows: Vec<Row>,
    /// What kinds of lines differ.
    pub kinds: Kinds,
    /// What speaks against taking it.
    pub objections: Vec<Objection>,
    /// Whether there is no golden yet.
    pub fresh: bool,
}

impl Item {
    /// Reads a pending golden, in the project at `root`, and the golden beside it.
    pub fn load(root: &Path, pending: &Path) -> Result<Self, GoldenError> {
        let pending = std::path::absolute(pending).unwrap_or_else(|_| pending.to_owned());
        let golden = pending.with_extension("");
        let read = [golden::text(&golden)?, golden::text(&pending)?];
        let [old, new] = read.each_ref().map(|text| text.as_deref().unwrap_or_default());
        let trace = golden::trace_of(&golden);
        Ok(Self {
            trace: trace.strip_prefix(root).map(Path::to_owned).unwrap_or(trace),
            rows: rows(old, new),
            kinds: Kinds::of_diff(&text_diff::unified(old, new)),
            objections: golden::objections(&pending)?,
            fresh: read[0].is_none(),
            pending,
            read,
        })
    }

    /// What it is, in a few words: which lines differ, and what speaks against it.
    pub fn summary(&self) -> String {
        let what = if self.fresh { "no golden yet".to_owned() } else { self.kinds.to_string() };
        let objections = self.objections.iter().map(|objection| format!("; {objection}"));
        std::iter::once(what).chain(objections).collect()
    }

    /// In what it differs, to be grouped with others.
    pub fn changed(&self) -> Changed {
        let [old, new] = self.read.each_ref().map(|text| text.as_deref().unwrap_or_default());
        let label = self.trace.to_string_lossy();
        if self.fresh {
            return Changed::new(&label, "").and([Shape::whole(&format!("no golden of {label} yet"))]);
        }
        Changed::new(&label, &text_diff::unified(old, new))
    }

    /// The command that comes to this result again.
    pub fn reproducer(&self) -> Reproducer {
        Reproducer::new(["run".to_owned(), self.trace.display().to_string()])
    }

    /// Whether both files still hold what was read of them.
    pub fn as_shown(&self) -> Result<bool, GoldenError> {
        let golden = self.pending.with_extension("");
        Ok(self.read == [golden::text(&golden)?, golden::text(&self.pending)?])
    }

    /// The operation that row `at` belongs to: its line in the trace.
    pub fn operation(&self, at: usize) -> Option<usize> {
        let texts =
            self.rows[..self.rows.len().min(at + 1)].iter().rev().filter_map(|row| row.new.as_deref());
        texts.filter(|line| !line.starts_with(' ')).find_map(|line| line.split_once(':')?.0.parse().ok())
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
}
