//! Switchable faults of what reads a tree, at seams as those of `hyp_core::faulty`. Only a build with the feature `faults` has
//! any.

use crate::walk::Bus;

/// Whether a node of `bus` is an SMMU.
#[cfg(feature = "faults")]
#[inline(always)]
pub(crate) fn is_smmu(right: bool, bus: &Bus<'_>) -> bool {
    use parallax_abi::fault::{Fault, on};
    right && (bus.outer.is_none() || !on(Fault::SmmuAtRootOnly))
}

/// Whether a node of `bus` is an SMMU.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub(crate) const fn is_smmu(right: bool, _bus: &Bus<'_>) -> bool {
    right
}
