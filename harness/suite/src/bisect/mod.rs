//! Which commit broke a trace: the history ([`history`]), the search in it ([`search`]), the images of its revisions
//! ([`images`]), what a trace makes of one ([`trial`]), what its operations did ([`story`]) and the report ([`report`]).

pub mod history;
pub mod images;
mod mode;
pub mod report;
pub mod search;
pub mod story;
pub mod trial;

pub use mode::BisectMode;
