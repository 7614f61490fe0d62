//! What the measurements share: images, machines, requests, tables of numbers.

use std::path::{Path, PathBuf};

use parallax_abi::mailbox::{Request, op};
use parallax_engine::status::Failure;
use parallax_machine::toolchain::{self, BuiltImages, Variant};
use parallax_machine::{BootOptions, CancellationToken, Live, MachineError};
use parallax_report::text_table;
use parallax_trace::spec::MachineSpec;

/// Page frame that the measured operations work on: memory that nothing else uses.
pub(crate) const PFN: u64 = 0x4_4100;

/// What the measurements share.
pub struct Setup {
    pub(crate) images: BuiltImages,
    pagewatch: PathBuf,
    cancel: CancellationToken,
    quick: bool,
}

impl Setup {
    /// Builds the hypervisor, the test host and the plugin of the project at `root`. A `quick` measurement takes a tenth
    /// of the operations.
    ///
    /// # Errors
    /// It does not build.
    pub fn build(root: &Path, quick: bool, cancel: CancellationToken) -> Result<Self, Failure> {
        let images = toolchain::build(root, Variant::Normal, &cancel);
        let images = images.map_err(|error| Failure::from(MachineError::from(error)))?;
        let pagewatch = toolchain::plugin(root, &cancel).map_err(MachineError::from)?;
        Ok(Self { images, pagewatch, cancel, quick })
    }

    pub(crate) fn boot(&self, config: &MachineSpec) -> Result<Live, Failure> {
        let options = BootOptions { cancel: self.cancel.clone(), ..BootOptions::default() };
        Live::boot(config.clone(), &self.images, options).map_err(Failure::from)
    }

    /// As [`Self::boot`], with the plugin.
    pub(crate) fn boot_watched(&self, config: &MachineSpec) -> Result<Live, Failure> {
        let (cancel, pagewatch) = (self.cancel.clone(), Some(self.pagewatch.clone()));
        let options = BootOptions { cancel, pagewatch, ..BootOptions::default() };
        Live::boot(config.clone(), &self.images, options).map_err(Failure::from)
    }

    /// `full`, or a tenth of it for a quick look.
    pub(crate) const fn scaled(&self, full: usize) -> usize {
        if self.quick { full.div_ceil(10) } else { full }
    }
}

/// A hypercall on CPU 0.
pub(crate) fn hypercall(id: u64, args: &[u64]) -> Request {
    let mut request = Request { cpu: 0, op: op::HYPERCALL, args: [0; 7] };
    request.args[0] = id;
    for (slot, arg) in request.args[1..].iter_mut().zip(args) {
        *slot = *arg;
    }
    request
}

/// A table whose columns behind the first are numbers.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    text_table::render(&header.map(String::from), rows, 1)
}
