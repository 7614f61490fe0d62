//! Live machines for traces: built once, booted for each.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use parallax_machine::coverage::Executed;
use parallax_machine::toolchain::{self, BuiltImages, Variant, build};
use parallax_machine::{BootOptions, CancellationToken, Live, Machine, MachineError};
use parallax_trace::Trace;

use crate::project;
use crate::status::Failure;

/// Something that boots the machine of a trace.
pub trait Boot: Sync {
    /// Boots it; the test host waits for its first operation.
    ///
    /// # Errors
    /// It does not boot.
    fn boot(&self, trace: &Trace) -> Result<Box<dyn Machine>, MachineError>;

    /// Takes leave of the machine of `trace`, which performed it or failed on the way.
    fn finished(&self, trace: &Trace, machine: &dyn Machine) {
        let _ = (trace, machine);
    }

    /// Revision of the hypervisor's source, for recordings.
    fn revision(&self) -> &str;
}

/// The images that traces boot.
#[derive(Debug)]
pub struct LiveBoot {
    normal: Option<BuiltImages>,
    faults: Option<BuiltImages>,
    pagewatch: Option<PathBuf>,
    revision: String,
    cancel: CancellationToken,
    /// What ran, where it is to be noted.
    coverage: Option<Mutex<Vec<Ran>>>,
}

/// What ran of the hypervisor during a trace.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The trace's path.
    pub trace: String,
    /// Whether it was the build with the switchable faults.
    pub faults_build: bool,
    /// The instructions.
    pub executed: Executed,
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
            coverage: None,
        })
    }

    /// Boots `images`, which are there already; they are those of `revision`, normal or with the switchable faults.
    #[must_use]
    pub fn of(images: BuiltImages, faults_build: bool, revision: &str, cancel: &CancellationToken) -> Self {
        let (normal, faults) = if faults_build { (None, Some(images)) } else { (Some(images), None) };
        let (revision, cancel) = (revision.to_owned(), cancel.clone());
        Self { normal, faults, pagewatch: None, revision, cancel, coverage: None }
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

    /// Builds the plugin too, in the source tree at `root`, and has it note what runs, for [`Self::ran`].
    ///
    /// # Errors
    /// It cannot be built.
    pub fn with_coverage(mut self, root: &Path) -> Result<Self, Failure> {
        self.coverage = Some(Mutex::default());
        self.with_events(root)
    }

    /// What ran during each trace, in the order in which they ended.
    #[must_use]
    pub fn ran(&self) -> Vec<Ran> {
        let ran = self.coverage.as_ref().map(|ran| ran.lock().unwrap_or_else(PoisonError::into_inner));
        ran.map(|ran| ran.clone()).unwrap_or_default()
    }

    /// The images of the normal build or of that with the switchable faults, if a trace needs them.
    #[must_use]
    pub const fn images(&self, faults_build: bool) -> Option<&BuiltImages> {
        if faults_build { self.faults.as_ref() } else { self.normal.as_ref() }
    }

    /// The images that `trace` boots.
    ///
    /// # Errors
    /// It was not among the traces that this was built for.
    pub fn images_of(&self, trace: &Trace) -> Result<&BuiltImages, MachineError> {
        self.images(trace.machine.faults_build)
            .ok_or_else(|| MachineError::Contract("the images of this trace have not been built".to_owned()))
    }
}

impl Boot for LiveBoot {
    fn boot(&self, trace: &Trace) -> Result<Box<dyn Machine>, MachineError> {
        let images = self.images_of(trace)?;
        let (cancel, pagewatch) = (self.cancel.clone(), self.pagewatch.clone());
        let options =
            BootOptions { cancel, pagewatch, coverage: self.coverage.is_some(), ..BootOptions::default() };
        Ok(Box::new(Live::boot(trace.machine.clone(), images, options)?))
    }

    fn finished(&self, trace: &Trace, machine: &dyn Machine) {
        if let (Some(ran), Some(executed)) = (&self.coverage, machine.executed()) {
            let (path, faults_build) = (trace.path.clone(), trace.machine.faults_build);
            let ran = &mut ran.lock().unwrap_or_else(PoisonError::into_inner);
            ran.push(Ran { trace: path, faults_build, executed });
        }
    }

    fn revision(&self) -> &str {
        &self.revision
    }
}
