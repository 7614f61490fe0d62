//! Coverage for programs: how many lines there are in each file, and which of them no trace reaches.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Files;

/// Version of the form; docs/exports.md says when it is raised.
pub const SCHEMA: u32 = 1;

/// What came of `parallax coverage`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "parallax coverage --format json")]
pub struct Covered {
    /// Which document this is.
    #[schemars(extend("const" = "coverage"))]
    pub document: Cow<'static, str>,
    /// Version of the document's form.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u32,
    /// The exit status: 0 as agreed, 1 the list says otherwise.
    #[schemars(extend("enum" = [0, 1]))]
    pub status: u8,
    /// Lines that count.
    pub lines: usize,
    /// How many of them a trace reaches.
    pub reached: usize,
    /// The files.
    pub files: Vec<File>,
    /// What is not as the list says, in a line each; null where no list was given.
    pub differences: Option<Vec<String>>,
}

/// A file of the hypervisor.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct File {
    /// Its path in the source tree.
    #[schemars(length(min = 1))]
    pub file: String,
    /// Its lines that count.
    pub lines: usize,
    /// Those that no trace reaches.
    pub unreached: Vec<u32>,
}

impl Covered {
    /// What traces reach of `files`.
    #[must_use]
    pub fn new(files: &Files, differences: Option<Vec<String>>) -> Self {
        let file = |(file, lines): (&String, &std::collections::BTreeMap<u32, super::Line>)| {
            let unreached = lines.iter().filter(|(_, line)| line.traces == 0).map(|(number, _)| *number);
            File { file: file.clone(), lines: lines.len(), unreached: unreached.collect() }
        };
        let files: Vec<File> = files.iter().map(file).collect();
        let lines = files.iter().map(|file| file.lines).sum();
        let unreached: usize = files.iter().map(|file| file.unreached.len()).sum();
        let status = u8::from(differences.as_ref().is_some_and(|differences| !differences.is_empty()));
        let reached = lines - unreached;
        Self { document: "coverage".into(), schema: SCHEMA, status, lines, reached, files, differences }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{sample, site};
    use super::*;

    #[test]
    fn lines_that_no_trace_reaches_are_named() {
        let mut tally = sample();
        tally.add(&[site("hyp/a.rs", 4, "a::split")]);
        let covered = Covered::new(tally.files(), None);
        assert_eq!((covered.lines, covered.reached, covered.status), (4, 1, 0));
        assert_eq!(covered.files[0].unreached, [3, 9]);
        assert_eq!(Covered::new(tally.files(), Some(vec!["x".to_owned()])).status, 1);
    }
}
