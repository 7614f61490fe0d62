//! Our hypervisor as a backend: its images, and how they are booted.

use std::path::PathBuf;

use parallax_trace::spec::MachineSpec;
use tokio_util::sync::CancellationToken;

use super::{BootOptions, Live};
use crate::backend::Backend;
use crate::error::MachineError;
use crate::machine::Machine;
use crate::qemu::Notes;
use crate::toolchain::{BuiltImages, Variant};

/// Boots our hypervisor with its test host: of two builds the one that a machine asks for.
#[derive(Clone, Debug, Default)]
pub struct Hyp {
    normal: Option<BuiltImages>,
    faults: Option<BuiltImages>,
    revision: String,
    options: BootOptions,
}

impl Hyp {
    /// Without any build, of source at `revision`. `cancel` ends every wait of its machines.
    #[must_use]
    pub fn new(revision: &str, cancel: &CancellationToken) -> Self {
        let options = BootOptions { cancel: cancel.clone(), ..BootOptions::default() };
        Self { revision: revision.to_owned(), options, ..Self::default() }
    }

    /// With `images`, which are those of `variant`.
    #[must_use]
    pub fn with_images(self, variant: Variant, images: BuiltImages) -> Self {
        match variant {
            Variant::Normal => Self { normal: Some(images), ..self },
            Variant::Faults => Self { faults: Some(images), ..self },
        }
    }

    /// With the plugin in every machine, see [`crate::toolchain::plugin`]: it records their events.
    #[must_use]
    pub fn with_events(mut self, pagewatch: PathBuf) -> Self {
        self.options.pagewatch = Some(pagewatch);
        self
    }

    /// With the plugin in every machine: it notes what runs, for [`Machine::executed`].
    #[must_use]
    pub fn with_coverage(mut self, pagewatch: PathBuf) -> Self {
        self.options.notes = Notes::Code;
        self.with_events(pagewatch)
    }

    /// With the plugin in every machine: it records their events, and notes what runs.
    #[must_use]
    pub fn with_events_and_coverage(mut self, pagewatch: PathBuf) -> Self {
        self.options.notes = Notes::Both;
        self.with_events(pagewatch)
    }

    /// What ends every wait of its machines.
    #[must_use]
    pub const fn cancel(&self) -> &CancellationToken {
        &self.options.cancel
    }

    /// The images of a build, if there are any.
    #[must_use]
    pub const fn images(&self, variant: Variant) -> Option<&BuiltImages> {
        match variant {
            Variant::Normal => self.normal.as_ref(),
            Variant::Faults => self.faults.as_ref(),
        }
    }

    /// The images that the machine `spec` boots.
    ///
    /// # Errors
    /// There are none.
    pub fn images_of(&self, spec: &MachineSpec) -> Result<&BuiltImages, MachineError> {
        self.images(Variant::of(spec))
            .ok_or_else(|| MachineError::Contract("the images of this trace have not been built".to_owned()))
    }
}

impl Backend for Hyp {
    fn boot(&self, spec: &MachineSpec) -> Result<Box<dyn Machine>, MachineError> {
        Ok(Box::new(Live::boot(spec.clone(), self.images_of(spec)?, self.options.clone())?))
    }

    fn revision(&self) -> &str {
        &self.revision
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_whose_build_is_not_there_does_not_boot() {
        let hyp = Hyp::new("test", &CancellationToken::new());
        let error = hyp.boot(&MachineSpec::default()).err().expect("no images");
        assert!(error.to_string().contains("have not been built"), "{error}");
    }
}
