//! How much of everything a night does, and which part of that.

use std::fmt;
use std::str::FromStr;

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// All of it: hours.
    Full,
    /// A part of each: about ten minutes on two cores.
    Short,
}

impl Form {
    /// As the history has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Short => "short",
        }
    }
}

/// One of several parts that together are the night.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    part: usize,
    of: usize,
}

impl Partition {
    /// The whole night.
    pub const WHOLE: Self = Self { part: 1, of: 1 };

    /// Which part, from 1 on, and how many there are.
    #[must_use]
    pub const fn numbers(self) -> (usize, usize) {
        (self.part, self.of)
    }

    /// Whether the piece of work with this index is of this part: pieces are dealt out in turn.
    #[must_use]
    pub const fn has(self, index: usize) -> bool {
        index % self.of == self.part - 1
    }
}

/// Into how many parts a night can be divided.
const MOST: usize = 1000;

impl FromStr for Partition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
        parts
            .filter(|(part, of)| (1..=*of).contains(part) && *of <= MOST)
            .map(|(part, of)| Self { part, of })
            .ok_or_else(|| format!("expected a part and how many there are, such as 1/3 ({MOST} at most)"))
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}
