//! The form of what a command prints.

use clap::ValueEnum;

/// The form of what is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For a person.
    #[default]
    Human,
    /// One JSON object; `parallax schema` has its form.
    Json,
}

impl Form {
    /// Whether a program reads it.
    #[must_use]
    pub fn is_json(self) -> bool {
        self == Self::Json
    }
}
