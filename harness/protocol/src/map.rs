//! The map that something is looked up in for almost every event.

use std::collections::HashMap;

/// A map whose hash is quick, and seeded anew in each process, so that no log can be written against it.
pub(crate) type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
