//! What makes a commit a bad one.

/// What makes a revision bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Criterion {
    /// The checks find something (or, in a trace with a fault, nothing), or the trace does not get to its end.
    #[default]
    Findings,
    /// The same, or the result is not that of the golden in the working tree.
    Golden,
    /// The same, by the trace and the golden that each revision has itself: where a golden changed on purpose in
    /// between.
    Range,
}
