//! The agreed list of lines that no trace reaches, with the reason for each.
//!
//! ```text
//! # a comment
//! check hyp/core/src/pgtable/
//!
//! hyp/core/src/pgtable/tree.rs
//!   because the pool is checked before anything is written
//!     <Tree>::split: return Err(Errno::ENOMEM);
//! ```
//!
//! `check` names a file or a folder whose lines must be reached or listed. A listed line is named by its function and its
//! text, not by its number, so that a change elsewhere in the file does not touch the list; `<Error>::fmt: *` are all
//! lines of a function. A listed line that is reached, or that is not there, must go from the list.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use parallax_engine::status::Failure;

use super::Files;

/// The text that stands for all lines of a function.
const WHOLE: &str = "*";

/// The list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    check: Vec<String>,
    entries: BTreeSet<Entry>,
}

/// A line that need not be reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    file: String,
    /// Function and text: `<Tree>::split: return Err(Errno::ENOMEM);`
    line: String,
}

/// What does not agree with the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A line that neither a trace reaches nor the list holds.
    Unreached {
        /// Its file.
        file: String,
        /// Its number.
        number: u32,
        /// Its function and text, as the list would name it.
        line: String,
    },
    /// A listed line that is reached, or that is no line of a `check` folder.
    Stale {
        /// Its file.
        file: String,
        /// Its function and text.
        line: String,
    },
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreached { file, number, line } => {
                write!(f, "{file}:{number}: no trace reaches\n    {line}")
            }
            Self::Stale { file, line } => {
                write!(f, "{file}: listed, but a trace reaches it or it is not there\n    {line}")
            }
        }
    }
}

impl Allowed {
    /// Reads the list in the file at `path`.
    ///
    /// # Errors
    /// It cannot be read, or is malformed.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        Self::parse(&text)
            .map_err(|(line, what)| Failure::usage(format!("{}:{line}: {what}", path.display())))
    }

    /// Reads the list.
    ///
    /// # Errors
    /// Number and fault of the first line that is none.
    pub fn parse(text: &str) -> Result<Self, (usize, &'static str)> {
        let mut list = Self::default();
        let (mut file, mut reason) = (None, false);
        for (index, line) in text.lines().enumerate() {
            let wrong = |what| (index + 1, what);
            let indented = line.starts_with(' ');
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match (indented, line.strip_prefix("check "), line.strip_prefix("because ")) {
                (false, Some(path), _) => list.check.push(path.trim().to_owned()),
                (false, None, _) => (file, reason) = (Some(line.to_owned()), false),
                (true, _, Some(_)) => reason = true,
                (true, ..) => {
                    let file = file.clone().ok_or(wrong("a line of no file"))?;
                    if !reason {
                        return Err(wrong("a line without a reason: `because ...` must stand above it"));
                    }
                    if !list.entries.insert(Entry { file, line: line.to_owned() }) {
                        return Err(wrong("listed twice"));
                    }
                }
            }
        }
        if list.check.is_empty() {
            return Err((1, "nothing would be checked: no `check PATH`"));
        }
        Ok(list)
    }

    /// Where `files` and the list disagree. `source` gives the text of a line of a file.
    pub fn compare(&self, files: &Files, source: impl Fn(&str, u32) -> String) -> Vec<Difference> {
        let mut differences = Vec::new();
        let mut used = BTreeSet::new();
        let checked = |file: &&String| self.check.iter().any(|path| file.starts_with(path.as_str()));
        for file in files.keys().filter(checked) {
            for (number, line) in files[file].iter().filter(|(_, line)| line.traces == 0) {
                let entry =
                    |text: &str| Entry { file: file.clone(), line: format!("{}: {text}", line.function) };
                let (whole, one) = (entry(WHOLE), entry(&source(file, *number)));
                if let Some(listed) =
                    [whole, one.clone()].into_iter().find(|entry| self.entries.contains(entry))
                {
                    used.insert(listed);
                } else {
                    let Entry { file, line } = one;
                    differences.push(Difference::Unreached { file, number: *number, line });
                }
            }
        }
        let stale = self.entries.difference(&used).cloned();
        differences.extend(stale.map(|Entry { file, line }| Difference::Stale { file, line }));
        differences
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{sample, site};
    use super::*;

    const LIST: &str = "\
# why
check hyp/a
hyp/a.rs
  because it cannot happen
    a::split: line 3
    a::split: line 4
";

    fn compare(list: &str, reached: &[u32]) -> Vec<Difference> {
        let mut tally = sample();
        tally.add(&reached.iter().map(|line| site("hyp/a.rs", *line, "")).collect::<Vec<_>>());
        Allowed::parse(list).unwrap().compare(tally.files(), |_, number| format!("line {number}"))
    }

    #[test]
    fn what_is_listed_need_not_be_reached() {
        assert_eq!(compare(LIST, &[9]), []);
    }

    #[test]
    fn what_is_neither_listed_nor_reached_is_a_difference() {
        let unreached =
            Difference::Unreached { file: "hyp/a.rs".into(), number: 9, line: "a::map: line 9".into() };
        assert_eq!(compare(LIST, &[]), [unreached]);
    }

    #[test]
    fn a_star_stands_for_a_whole_function() {
        let list = "check hyp/\nhyp/a.rs\n  because x\n    a::split: *\n    a::map: *\n";
        assert_eq!(compare(list, &[]).len(), 1, "line 1 of hyp/b.rs");
        let stale = Difference::Stale { file: "hyp/a.rs".into(), line: "a::split: *".into() };
        assert_eq!(compare(list, &[3, 4])[1..], [stale]);
    }

    #[test]
    fn what_is_listed_and_reached_is_a_difference() {
        let stale = Difference::Stale { file: "hyp/a.rs".into(), line: "a::split: line 4".into() };
        assert_eq!(compare(LIST, &[4, 9]), [stale]);
    }

    #[test]
    fn a_line_of_the_list_that_is_none_is_named() {
        for (list, line) in [
            ("check a\nhyp/a.rs\n  f: x\n", 3),
            ("check a\n  because\n  f: x\n", 2),
            ("hyp/a.rs\n", 1),
            ("check a\nb\n  because c\n  f: x\n  f: x\n", 5),
        ] {
            assert_eq!(Allowed::parse(list).unwrap_err().0, line, "{list}");
        }
    }
}
