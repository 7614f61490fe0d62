//! The agreed list of mutants that no trace sees, with the reason for each.
//!
//! ```text
//! # a comment
//! hyp/core/src/pgtable/tree.rs
//!   because more pages than needed are kept free, and nothing depends on how many
//!     replace + with * in Tree<M>::room: let room = needed + spare;
//! ```
//!
//! A mutant is named by its change, its function and the text of its line, not by the line's number, so that a change elsewhere in
//! the file does not touch the list; an entry stands for all that are called so. One of which every mutant was tried and seen must go from the list.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use parallax_engine::status::Failure;

use super::fate::{Fate, Tried};

/// The list: the file of a mutant, and what it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed(BTreeSet<(String, String)>);

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
        let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
        for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#')) {
            let (indented, line) = (line.starts_with(' '), line.trim());
            if !indented {
                (file, reason) = (Some(line), false);
            } else if line.starts_with("because ") {
                reason = true;
            } else if !reason {
                return Err((number, "a mutant without a reason: `because ...` must stand above it"));
            } else {
                let file = file.ok_or((number, "a mutant of no file"))?;
                if !list.0.insert((file.to_owned(), line.to_owned())) {
                    return Err((number, "listed twice"));
                }
            }
        }
        Ok(list)
    }

    /// Where `tried` and the list disagree, a line each: survivors that are not listed, and entries that were seen.
    #[must_use]
    pub fn compare(&self, tried: &[Tried]) -> Vec<String> {
        // Whether one of this name survived.
        let mut names: BTreeMap<(String, String), bool> = BTreeMap::new();
        let mut differences = Vec::new();
        for Tried { mutant, fate } in tried {
            let name = (mutant.file.clone(), format!("{}: {}", mutant.what, mutant.source));
            let survived = *fate == Fate::Survived;
            if survived && !self.0.contains(&name) {
                differences.push(format!("{}: not listed, and no trace sees\n    {}", mutant.name(), name.1));
            }
            *names.entry(name).or_default() |= survived;
        }
        let stale = self.0.iter().filter(|name| names.get(name) == Some(&false));
        differences.extend(stale.map(|(file, what)| format!("{file}: listed, and a trace sees\n    {what}")));
        differences
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::{Mutant, Position, Span};
    use super::*;

    const LIST: &str = "# why\nhyp/a.rs\n  because nothing depends on it\n    replace + with - in a: x + y\n    delete ! in b: x + y\n";

    fn tried(what: &str, fate: Fate) -> Tried {
        let at = Position { line: 3, column: 7 };
        let (file, what, span) = ("hyp/a.rs".to_owned(), what.to_owned(), Span { start: at, end: at });
        Tried {
            mutant: Mutant { file, what, source: "x + y".to_owned(), span, replacement: String::new() },
            fate,
        }
    }

    #[test]
    fn survivors_are_listed_and_what_is_listed_survives() {
        let list = Allowed::parse(LIST).unwrap();
        let compare = |tried: &[Tried]| list.compare(tried);
        let (seen, survived) = (Fate::Equal, Fate::Survived);
        assert_eq!(compare(&[tried("replace + with - in a", survived.clone())]), [""; 0]);
        let both = [tried("delete ! in b", survived.clone()), tried("delete ! in b", seen.clone())];
        assert_eq!(compare(&both), [""; 0], "one of that name");
        assert_eq!(
            compare(&[tried("delete ! in b", seen)]),
            ["hyp/a.rs: listed, and a trace sees\n    delete ! in b: x + y"]
        );
        let other = "hyp/a.rs:3:7: replace + with * in a: not listed, and no trace sees\n    replace + with * in a: x + y";
        assert_eq!(compare(&[tried("replace + with * in a", survived)]), [other]);
    }

    #[test]
    fn a_line_of_the_list_that_is_none_is_named() {
        for (list, line) in
            [("a\n    b\n", 2), ("  because c\n    b\n", 2), ("a\n  because c\n    b\n    b\n", 4)]
        {
            assert_eq!(Allowed::parse(list).unwrap_err().0, line, "{list}");
        }
    }
}
