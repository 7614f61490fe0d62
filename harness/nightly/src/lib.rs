//! What takes too long for every change: every trace on every machine, every switchable fault, hostile hosts, Linux; and the
//! history of it.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`plan`] | what a night runs: pieces of work, which are dealt out in turn |
//! | [`qemus`] | which QEMUs there are |
//! | [`child`] | programs that it runs, which end with it |
//! | [`perform`] | a night at work: how each piece comes into the history |
//! | [`history`] | the history, with one writer at a time |
//! | [`news`] | what is new, still there, gone |
//! | [`merge`] | the parts of a night put together |
//! | [`page`] | the page of the history |
//! | [`time`] | seconds since 1970 as people read them |
//! | [`told`] | summary, page and JSON Lines of a history, each whole or not at all |
//! | [`error`] | what keeps a night from its end |
#![forbid(unsafe_code)]

pub mod child;
pub mod error;
pub mod history;
pub mod merge;
pub mod news;
pub mod page;
pub mod perform;
pub mod plan;
pub mod qemus;
pub mod time;
pub mod told;

pub use child::Runner;
pub use error::NightError;
pub use history::History;
