//! Goldens: the reviewed result of each trace, in insta's file form.
//!
//! `traces/good/share.trace` has its golden in `golden/good/share.snap`; a trace outside of a `traces` folder has it
//! beside itself. A result that differs is written as `share.snap.new`, which `cargo insta review` and `parallax
//! accept` find. A file is written whole or not at all.

mod compare;
mod error;
mod file;
mod groups;
mod guard;
mod header;
mod kinds;
mod operations;
mod orphans;
mod place;
mod shape;
mod since;
mod waiting;

pub use compare::{Comparison, beside_findings, compare, needs_events};
pub use error::GoldenError;
pub use file::{accept, findings_in, reject, save, text};
pub use groups::{Changed, Group, groups};
pub use guard::{Objection, objections};
pub use kinds::Kinds;
pub use orphans::{orphan_names, orphans};
pub use place::{Place, pending_under, trace_of};
pub use shape::Shape;
pub use since::{Change, Since, What, since};
pub use waiting::{pending_in, pending_of_all};
