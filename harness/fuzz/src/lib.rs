//! A hostile host: random operations from a seed, and every state checked.
//!
//! A run is cut into machines of [`MACHINE_OPS`] operations each, every one booted anew: what it does depends on the
//! seed and on its number alone, so machines run side by side, and an operation's place in the run names it for good.
//! Operations are those of traces: what was found is reduced to a trace that `parallax run` performs.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`generator`], [`random`] | what the host does next |
//! | [`smmu`], [`entries`], [`commands`], [`moves`], [`pages`] | the classes of attack |
//! | [`service`] | what must still work |
//! | [`act`], [`layout`] | one operation; where things are |
//! | [`round`], [`counts`] | one machine: performing, judging, counting |
//! | [`end`] | whose fault it is that a machine came to its end |
//! | [`reduce`], [`search`] | the shortest list of operations that still shows a finding |
//! | [`explore`] | every operation in every state of a few pages, as the specification has them |
//! | [`fuzz`] | operations that are chosen by what every page is |
//! | [`schedules`] | two operations at once, under many schedules |
//! | [`beside`] | operations for several hypervisors side by side |
//! | [`score`] | who catches a switchable fault, and after how many operations |
//! | [`plan`], [`summary()`], [`document`] | all machines of a run; what came of it, for a person and for programs |
#![forbid(unsafe_code)]

mod act;
pub mod beside;
mod commands;
mod counts;
pub mod document;
mod end;
mod entries;
pub mod explore;
pub mod fuzz;
mod generator;
mod layout;
mod lpis;
mod moves;
mod pages;
mod plan;
mod random;
mod reduce;
mod round;
pub mod schedules;
pub mod score;
mod search;
mod service;
mod smmu;
mod summary;
mod unheld;

pub use self::act::Class;
pub use self::counts::{Answer, Counts};
pub use self::plan::{MACHINE_OPS, Plan, Report};
pub use self::round::Trouble;
pub use self::summary::{summary, trouble_text};
