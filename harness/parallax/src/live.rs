//! Live machines for traces: built once, booted for each.

use std::path::{Path, PathBuf};

use parallax_machine::toolchain::{self, BuiltImages, Variant, build};
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
    pagewatch: Option<PathBuf>,
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
            pagewatch: None,
            revision: project::revision(root),
            cancel: cancel.clone(),
        })
    }

    /// Builds the plugin too, in the source tree at `root`, and has every machine record its events.
    ///
    /// # Errors
    /// It cannot be built.
    pub fn with_events(mut self, root: &Path) -> Result<Self, Failure> {
        let plugin = toolchain::plugin(root, &self.cancel).map_err(MachineError::from)?;
        self.pagewatch = Some(plugin);
        Ok(self)
    }

    /// The images that `trace` boots.
    ///
    /// # Errors
    /// It was not among the traces that this was built for.
    pub fn images(&self, trace: &Trace) -> Result<&BuiltImages, MachineError> {
        let images = if trace.machine.faults_build { &self.faults } else { &self.normal };
        images
            .as_ref()
            .ok_or_else(|| MachineError::Contract("the images of this trace have not been built".to_owned()))
    }
}

impl Boot for LiveBoot {
    fn boot(&self, trace: &Trace) -> Result<Box<dyn Machine>, MachineError> {
        let images = self.images(trace)?;
        let (cancel, pagewatch) = (self.cancel.clone(), self.pagewatch.clone());
        let options = BootOptions { cancel, pagewatch, ..BootOptions::default() };
        Ok(Box::new(Live::boot(trace.machine.clone(), images, options)?))
    }

    fn revision(&self) -> &str {
        &self.revision
    }
}
