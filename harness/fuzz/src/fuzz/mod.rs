//! Weighted random operations that know the state.
//!
//! A run is cut into machines. What each does depends on the seed, on its number, and on what the corpus held when its
//! generation of machines began: so machines of a generation run side by side, and the result is the same.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`plan`] | all machines of a run, what each begins with, what is kept |
//! | [`round`], [`performing`] | one machine: performing in stream mode, all judges |
//! | [`generator`], [`calls`], [`ranges`], [`data`], [`driver`], [`scenes`] | what the host does next |
//! | [`model`], [`places`] | what every page is, as the specification has it; the pages that are worked with |
//! | [`machines`] | options of machines |
//! | [`corpus`], [`trees`], [`mutate`], [`reached`] | machines that reached something new, and what is made of them |
//! | [`shrink`] | the shortest list of operations that still shows a finding |
//! | [`beyond`] | the switchable faults that it cannot find, and why |
//! | [`kind`], [`counts`], [`summary()`] | what was done on purpose, how often, for a person |

mod beyond;
mod calls;
mod corpus;
mod counts;
mod data;
mod driver;
mod generator;
mod kind;
mod machine_keys;
mod machines;
mod model;
mod mutate;
mod performing;
mod places;
mod plan;
mod ranges;
mod reached;
mod round;
mod scenes;
mod shrink;
mod summary;
#[cfg(test)]
mod tests;
mod trees;

pub use self::beyond::{BEYOND, reason};
pub use self::counts::Counts;
pub use self::kind::Kind;
pub use self::machines::MACHINE_OPS;
pub use self::plan::{Plan, Progress, Report, USUAL_OPS};
pub use self::shrink::found;
pub use self::summary::{summary, trouble_text};
pub use self::trees::{with_tree_in, with_tree_of};
