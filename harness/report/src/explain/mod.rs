//! Who changed an entry of a table, with what, and which invalidation followed.
//!
//! [`OperationContext`] is what is known of an operation: memory before it, where the tables are, what the plugin saw.
//! [`events_text`] goes through the events in order; of the invalidations, commands and barriers it shows those that
//! [`follow`] finds to concern an entry that it has shown. [`story`] does that for an operation of a recording.

mod context;
mod entry;
mod events;
mod follow;
mod recorded;
mod state;

pub use self::context::{OperationContext, Wanted};
pub use self::events::events_text;
pub use self::recorded::story;
