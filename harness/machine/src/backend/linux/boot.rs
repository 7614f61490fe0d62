//! An unmodified Linux as a backend.

use std::time::{Duration, Instant};

use parallax_trace::spec::MachineSpec;
use tokio_util::sync::CancellationToken;

use super::{Linux, LinuxConfig, LinuxHost};
use crate::backend::Backend;
use crate::error::MachineError;
use crate::extensions::Pause;
use crate::machine::Machine;
use crate::toolchain::BuiltImages;

/// How long it runs until the hypervisor is asked again whether it has booted.
const PERIOD: Duration = Duration::from_millis(50);

/// Boots a Linux on the hypervisor.
#[derive(Clone, Debug)]
pub struct LinuxBackend {
    /// The Linux.
    pub config: LinuxConfig,
    /// The hypervisor, built.
    pub images: BuiltImages,
    /// Revision of its source.
    pub revision: String,
    /// The hypervisor must have booted after so long, in wall time.
    pub limit: Duration,
    /// Ends every wait of its machines.
    pub cancel: CancellationToken,
}

impl LinuxBackend {
    /// Starts the machine `spec`, whose devices are not used, for who wants to do something before the hypervisor has
    /// booted, or has none. It stands still.
    ///
    /// # Errors
    /// QEMU cannot be used, or the configuration is impossible.
    pub fn start(&self, spec: &MachineSpec) -> Result<Linux, MachineError> {
        Linux::start(spec, &self.config, &self.images, &self.cancel)
    }
}

impl Backend for LinuxBackend {
    /// Boots it up to where the hypervisor has booted; the kernel begins.
    fn boot(&self, spec: &MachineSpec) -> Result<Box<dyn Machine>, MachineError> {
        let mut linux = self.start(spec)?;
        let failed = MachineError::in_boot;
        let begin = Instant::now();
        while linux.info().map_err(failed)?.is_none() {
            if begin.elapsed() >= self.limit {
                let (waiting_for, report) = ("the end of the hypervisor's boot", linux.printed());
                return Err(failed(MachineError::Hang { waiting_for, limit: self.limit, report }));
            }
            if linux.run_for(PERIOD).map_err(failed)? == Pause::Ended {
                return Err(failed(MachineError::SwitchedOff));
            }
        }
        let host = LinuxHost::new(linux)?.ok_or_else(|| failed(MachineError::SwitchedOff))?;
        Ok(Box::new(host))
    }

    fn revision(&self) -> &str {
        &self.revision
    }
}
