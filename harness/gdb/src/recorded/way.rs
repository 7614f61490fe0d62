//! Where a recording goes.

use parallax_machine::recording::Search;

use crate::Stop;

/// A way that is under way.
pub(super) enum Way {
    /// Nowhere; what to say here.
    Here(Stop),
    /// Only a place to go to, and what to say there.
    To(u64, Stop),
    /// A search for a change; where to stop if there is none.
    Search { search: Search, otherwise: (u64, Stop) },
}
