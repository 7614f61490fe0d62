//! Which lines of the hypervisor's source traces reach.
//!
//! The plugin notes which instructions ran; line tables say which lines an instruction stands for, those of calls that
//! were inlined there included ([`lines`]). A line that the compiler made no instruction for does not count, nor does
//! one that only the build with the switchable faults has.

pub mod agreed;
pub mod allowed;
pub mod built;
pub mod document;
pub mod lcov;
pub mod lines;
pub mod summary;

use std::collections::BTreeMap;

use self::lines::{Lines, Site};

/// A line that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The function that it belongs to, without generics.
    pub function: String,
    /// How many traces reached it.
    pub traces: u32,
}

/// Lines by number, by file.
pub type Files = BTreeMap<String, BTreeMap<u32, Line>>;

/// Counts which lines traces reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    files: Files,
}

impl Tally {
    /// All lines of `lines`, none of them reached.
    #[must_use]
    pub fn of(lines: &Lines) -> Self {
        let mut files = Files::new();
        for Site { file, line, function } in lines.sites() {
            let line = files.entry(file.clone()).or_default().entry(*line);
            // Closures and clones of a function share lines; the shortest name is the function's own.
            let line = line.or_insert_with(|| Line { function: function.clone(), traces: 0 });
            if (function.len(), function) < (line.function.len(), &line.function) {
                line.function.clone_from(function);
            }
        }
        Self { files }
    }

    /// Adds a trace that reached `sites`, each of them once or more often.
    pub fn add<'a>(&mut self, sites: impl IntoIterator<Item = &'a Site>) {
        let reached: std::collections::BTreeSet<(&str, u32)> =
            sites.into_iter().map(|site| (site.file.as_str(), site.line)).collect();
        for (file, line) in reached {
            if let Some(line) = self.files.get_mut(file).and_then(|file| file.get_mut(&line)) {
                line.traces += 1;
            }
        }
    }

    /// The lines.
    #[must_use]
    pub const fn files(&self) -> &Files {
        &self.files
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn site(file: &str, line: u32, function: &str) -> Site {
        Site { file: file.to_owned(), line, function: function.to_owned() }
    }

    /// Two files of three and one line.
    pub(crate) fn sample() -> Tally {
        let sites = [
            site("hyp/a.rs", 3, "a::split::{closure#0}"),
            site("hyp/a.rs", 3, "a::split"),
            site("hyp/a.rs", 4, "a::split"),
            site("hyp/a.rs", 9, "a::map"),
            site("hyp/b.rs", 1, "b"),
        ];
        Tally::of(&Lines::from_sites(sites))
    }

    #[test]
    fn a_line_counts_once_for_each_trace() {
        let mut tally = sample();
        tally.add(&[site("hyp/a.rs", 3, "x"), site("hyp/a.rs", 3, "y"), site("hyp/other.rs", 3, "z")]);
        tally.add(&[site("hyp/a.rs", 3, "x"), site("hyp/a.rs", 4, "x")]);
        let counts: Vec<u32> =
            tally.files().values().flat_map(|lines| lines.values().map(|line| line.traces)).collect();
        assert_eq!(counts, [2, 1, 0, 0]);
        assert_eq!(tally.files()["hyp/a.rs"][&3].function, "a::split");
        assert_eq!(tally.files().len(), 2);
    }
}
