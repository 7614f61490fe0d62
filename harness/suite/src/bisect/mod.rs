//! Which commit broke a trace: the history ([`history`]), the search in it ([`search`]), the images of its revisions
//! ([`images`]), what a trace makes of one ([`trial`]), what its operations did ([`story`]) and the report ([`report`]).
//! [`bisect`] does it all; [`row`] does it with hypervisors that are there instead of commits.

mod bisection;
mod criterion;
pub mod history;
pub mod images;
mod outcome;
pub mod report;
mod request;
pub mod row;
mod row_report;
pub mod search;
pub mod story;
pub mod trial;
mod trials;

pub use bisection::bisect;
pub use criterion::Criterion;
pub use request::Request;
pub use row_report::{RowReport, SCHEMA as ROW_SCHEMA};
