//! How often a wait looks up.

use std::time::Duration;

/// How often a signal is looked for while no key comes.
pub(super) const TICK: Duration = Duration::from_millis(100);
