//! The state graph of the specification in a small scope.
//!
//! | module | what for |
//! | --- | --- |
//! | [`small`] | a machine of a few pages, and the operations on them |
//! | [`graph`] | all states that it can be in, what each operation does in each, and a way through all of them |
//!
//! What the graph shows of the specification itself is [`graph::contradictions`]: it is not trusted on its looks.
#![forbid(unsafe_code)]

pub mod graph;
pub mod small;

pub use graph::{Edge, Graph, Tour};
pub use small::{Scope, Small};
