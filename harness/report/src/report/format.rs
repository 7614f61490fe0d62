//! The ways to tell results.

/// How results are told (`--format`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For a person, with times.
    #[default]
    Human,
    /// One JSON object.
    Json,
    /// JUnit XML, as CI systems read it.
    Junit,
    /// Markdown, for a comment on a pull request or a summary page.
    Markdown,
    /// Annotations at the lines of the traces, for a GitHub workflow.
    Github,
}
