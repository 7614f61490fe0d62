//! Live machines for traces: built once, booted for each.

use std::path::Path;

use parallax_machine::toolchain::{self, Making, Variant};
use parallax_machine::{CancellationToken, Hyp, MachineError};
use parallax_trace::Trace;

use crate::project;
use crate::status::Failure;

/// Builds the hypervisor as `traces` need it, in the source tree at `root`.
///
/// # Errors
/// It cannot be built.
pub fn build<'a>(
    root: &Path,
    traces: impl IntoIterator<Item = &'a Trace>,
    cancel: &CancellationToken,
) -> Result<Hyp, Failure> {
    made(root, traces, Making::Whole, cancel).map(|(hyp, _)| hyp)
}

/// [`build`], in one way or the other; also gives what tells the images from all others.
///
/// # Errors
/// They cannot be built.
pub fn made<'a>(
    root: &Path,
    traces: impl IntoIterator<Item = &'a Trace>,
    making: Making,
    cancel: &CancellationToken,
) -> Result<(Hyp, Vec<String>), Failure> {
    let mut ids = Vec::new();
    let mut hyp = Hyp::new(&project::revision(root), cancel);
    let (mut normal, mut faults) = (false, false);
    for trace in traces {
        *(if trace.machine.faults_build { &mut faults } else { &mut normal }) = true;
    }
    for (wanted, variant) in [(normal, Variant::Normal), (faults, Variant::Faults)] {
        if wanted {
            let images = toolchain::make(root, variant, making, cancel).map_err(MachineError::from)?;
            ids.push(images.id.clone());
            hyp = hyp.with_images(variant, images);
        }
    }
    Ok((hyp, ids))
}

/// Builds the plugin too, in the source tree at `root`, and has every machine of `hyp` record its events.
///
/// # Errors
/// It cannot be built.
pub fn with_events(hyp: Hyp, root: &Path) -> Result<Hyp, Failure> {
    let plugin = toolchain::plugin(root, hyp.cancel()).map_err(MachineError::from)?;
    Ok(hyp.with_events(plugin))
}

/// Both of [`with_events`] and [`with_coverage`].
///
/// # Errors
/// It cannot be built.
pub fn with_events_and_coverage(hyp: Hyp, root: &Path) -> Result<Hyp, Failure> {
    let plugin = toolchain::plugin(root, hyp.cancel()).map_err(MachineError::from)?;
    Ok(hyp.with_events_and_coverage(plugin))
}

/// Builds the plugin too, in the source tree at `root`, and has it note what runs in every machine of `hyp`
/// ([`crate::TraceRun::executed`]).
///
/// # Errors
/// It cannot be built.
pub fn with_coverage(hyp: Hyp, root: &Path) -> Result<Hyp, Failure> {
    let plugin = toolchain::plugin(root, hyp.cancel()).map_err(MachineError::from)?;
    Ok(hyp.with_coverage(plugin))
}
