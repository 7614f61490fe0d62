//! When a state is.

/// When a state is, and how it is seen again.
pub(super) struct Moment {
    pub(super) when: String,
    pub(super) reproducer: String,
}
