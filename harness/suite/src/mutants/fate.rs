//! What can become of a mutant, and the ways to tell it.

use std::fmt;

use parallax_engine::visible;
use serde::{Deserialize, Serialize};

use super::list::Mutant;

/// What became of a mutant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "kebab-case")]
pub enum Fate {
    /// It does not build.
    Unviable {
        /// The compiler's first error.
        error: String,
    },
    /// Its image is the same, byte for byte.
    Equal,
    /// A check found something in a trace.
    Found {
        /// The trace.
        trace: String,
        /// Line of the operation; 0 is the state after boot.
        after: usize,
        /// What was found.
        rule: String,
    },
    /// A trace did not get to its end.
    Failed {
        /// The trace.
        trace: String,
        /// Why, in a line.
        why: String,
    },
    /// A trace differs from its golden, and no check finds anything in any trace.
    Golden {
        /// The first that differs.
        trace: String,
    },
    /// All traces are as agreed.
    Survived,
}

impl Fate {
    /// One word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Unviable { .. } => "unviable",
            Self::Equal => "equal",
            Self::Found { .. } => "found",
            Self::Failed { .. } => "failed",
            Self::Golden { .. } => "golden",
            Self::Survived => "survived",
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unviable { error } => f.write_str(error),
            Self::Equal => f.write_str("the image is the same"),
            Self::Found { trace, after, rule } => write!(f, "{trace}:{after} {rule}"),
            Self::Failed { trace, why } => write!(f, "{trace}: {why}"),
            Self::Golden { trace } => write!(f, "{trace}: the golden alone"),
            Self::Survived => f.write_str("no trace sees it"),
        }
    }
}

/// A mutant, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The mutant.
    pub mutant: Mutant,
    /// What became of it.
    pub fate: Fate,
}

/// As a line of JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    /// The file.
    pub file: String,
    /// Where in it.
    pub line: usize,
    /// Where in the line.
    pub column: usize,
    /// The change.
    pub mutant: String,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
}

impl Tried {
    /// Two lines for people.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { mutant, fate } = self;
        format!(
            "{:9} {}\n          {}\n",
            fate.word(),
            visible::line(&mutant.name()),
            visible::line(&fate.to_string())
        )
    }

    /// A line of JSON.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        let Self { mutant: Mutant { file, what, span, .. }, fate } = self;
        let (line, column) = (span.start.line, span.start.column);
        let line = Line { file: file.clone(), line, column, mutant: what.clone(), fate: fate.clone() };
        Ok(serde_json::to_string(&line)? + "\n")
    }
}

/// How many of `tried` there are of each fate, in a line.
#[must_use]
pub fn summary(tried: &[Tried]) -> String {
    let count = |word: &str| tried.iter().filter(|tried| tried.fate.word() == word).count();
    let words = ["found", "failed", "golden", "survived", "equal", "unviable"];
    let counts: Vec<String> = words.iter().map(|word| format!("{} {word}", count(word))).collect();
    format!("{} mutants: {}\n", tried.len(), counts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::list::{Position, Span};
    use super::*;

    fn tried(fate: Fate) -> Tried {
        let at = Position { line: 3, column: 7 };
        let (file, what) = ("hyp/a.rs".to_owned(), "replace + with -".to_owned());
        Tried {
            mutant: Mutant {
                file,
                what,
                source: String::new(),
                span: Span { start: at, end: at },
                replacement: "-".to_owned(),
            },
            fate,
        }
    }

    #[test]
    fn each_is_told_to_people_and_programs() {
        let found = tried(Fate::Found { trace: "t".to_owned(), after: 4, rule: "reach/smmu".to_owned() });
        assert_eq!(found.text(), "found     hyp/a.rs:3:7: replace + with -\n          t:4 reach/smmu\n");
        let json = r#"{"file":"hyp/a.rs","line":3,"column":7,"mutant":"replace + with -","fate":"survived"}"#;
        assert_eq!(tried(Fate::Survived).json().unwrap(), format!("{json}\n"));
        assert_eq!(serde_json::from_str::<Line>(json).unwrap().fate, Fate::Survived);
        let all = [found, tried(Fate::Equal), tried(Fate::Survived)];
        assert_eq!(
            summary(&all),
            "3 mutants: 1 found, 0 failed, 0 golden, 1 survived, 1 equal, 0 unviable\n"
        );
    }
}
