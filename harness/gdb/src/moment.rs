//! When a state is.

/// When a state is, and how it is seen again.
pub(super) struct Moment {
    pub(super) when: String,
    /// What was found up to then, each with the operation after which it was.
    pub(super) found: String,
    pub(super) reproducer: String,
}
