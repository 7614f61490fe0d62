//! What became of each trace, and the ways to tell it.

mod form;
mod format;
mod github;
mod human;
mod json;
mod junit;
mod markdown;
mod outcome;
pub mod samples;

pub use form::FindingForm;
pub use format::Format;
pub use github::{github, github_failure};
pub use human::Human;
pub use json::{Alike, Document, Entry, SCHEMA, Shape, json, json_failure};
pub use junit::{junit, junit_failure};
pub use markdown::{Beside, markdown};
pub use outcome::{ORPHAN, TraceReport, Verdict, status};
