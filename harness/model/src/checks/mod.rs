//! What must hold in every state, one file a check.
//!
//! Each check takes a snapshot and the [`Context`] and gives its findings in a fixed order. A run goes on after a
//! finding; [`crate::Reporter`] sees to it that each site is reported once.

pub mod access;
mod again;
pub mod coherence;
mod control;
mod findings;
mod guests;
pub mod host_tree;
pub mod image;
pub mod isolation;
pub mod ownership;
pub mod placement;
pub mod pools;
pub mod reach;
pub mod sanity;
pub mod sync;
#[cfg(test)]
mod tests;
pub mod told;

pub use again::{Checks, check};
