//! What must hold in every state, one file a check.
//!
//! Each check takes a snapshot and the [`Context`] and gives its findings in a fixed order. A run goes on after a
//! finding; [`crate::Reporter`] sees to it that each site is reported once.

pub mod access;
pub mod coherence;
mod control;
mod findings;
pub mod image;
pub mod isolation;
pub mod ownership;
pub mod placement;
pub mod reach;
pub mod sanity;
pub mod sync;
#[cfg(test)]
mod tests;
pub mod told;

use crate::context::Context;
use crate::finding::Finding;
use crate::snapshot::Snapshot;

/// Checks 1 to 3, the reach of masters, and the sanity of mappings and of bases.
#[must_use]
pub fn check(snapshot: &Snapshot, context: &Context) -> Vec<Finding> {
    let mut findings = sync::check(snapshot, context);
    findings.extend(isolation::check(snapshot, context));
    findings.extend(ownership::check(snapshot, context));
    findings.extend(reach::check(snapshot, context));
    findings.extend(sanity::check(snapshot, context));
    findings.extend(placement::check(snapshot, context));
    findings.extend(coherence::check(snapshot, context));
    findings
}
