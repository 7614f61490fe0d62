//! Live machines for traces: built once, booted for each.

use std::path::Path;

use parallax_machine::toolchain::{BuiltImages, Variant, build};
use parallax_machine::{BootOptions, CancellationToken, Live, Machine, MachineError};

use crate::jobs::Boot;
use crate::project;
use crate::status::Failure;
use crate::trace::Trace;

/// The images that traces boot.
#[derive(Debug)]
pub struct LiveBoot {
    normal: Option<BuiltImages>,
    faults: Option<BuiltImages>,
    revision: String,
    cancel: CancellationToken,
}

impl LiveBoot {
    /// Builds what `traces` need, in the source tree at `root`.
    ///
    /// # Errors
    /// It cannot be built.
    pub fn build<'a>(
        root: &Path,
        traces: impl IntoIterator<Item = &'a Trace>,
        cancel: &CancellationToken,
    ) -> Result<Self, Failure> {
        let (mut normal, mut faults) = (false, false);
        for trace in traces {
            *(if trace.machine.faults_build { &mut faults } else { &mut normal }) = true;
        }
        let make =
            |variant| build(root, variant, cancel).map_err(|error| Failure::from(MachineError::from(error)));
        Ok(Self {
            normal: normal.then(|| make(Variant::Normal)).transpose()?,
            faults: faults.then(|| make(Variant::Faults)).transpose()?,
            revision: project::revision(root),
            cancel: cancel.clone(),
        })
    }
}

impl Boot for LiveBoot {
    fn boot(&self, trace: &Trace) -> Result<Box<dyn Machine>, MachineError> {
        let images = if trace.machine.faults_build { &self.faults } else { &self.normal };
        let images = images.as_ref().ok_or_else(|| {
            MachineError::Contract("the images of this trace have not been built".to_owned())
        })?;
        let options = BootOptions { cancel: self.cancel.clone(), ..BootOptions::default() };
        Ok(Box::new(Live::boot(trace.machine.clone(), images, options)?))
    }

    fn revision(&self) -> &str {
        &self.revision
    }
}
