//! A recording to be shown.

use parallax_machine::recording::Replay;

/// A recording that was opened: to be read through, and twice more to look back.
pub struct Opened {
    /// Name of its file.
    pub name: String,
    /// Itself, at its beginning.
    pub replay: Replay,
    /// Itself.
    pub back: [Replay; 2],
}
