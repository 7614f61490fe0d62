//! What can stand behind a [`Machine`]: our hypervisor with its test host, an unmodified Linux as its host, an unmodified
//! Linux with a hypervisor of its own, a recording. A QEMU that
//! somebody else started is no machine of ours: it can be looked at ([`attached`]).
//!
//! The first three boot what a [`MachineSpec`] describes: each is a [`Backend`]. A recording was booted when it was made,
//! and its machine is what it was: it is opened ([`crate::recording::Replay`]).

pub mod attached;
pub mod beside;
mod edu;
pub mod hyp;
pub mod linux;
pub mod monitor;
pub mod pkvm;
mod replay;

use parallax_trace::spec::{Guest, MachineSpec};

use crate::error::MachineError;
use crate::machine::Machine;

/// Something that boots machines.
pub trait Backend: Sync {
    /// Boots the machine `spec`; it waits for its first operation.
    ///
    /// # Errors
    /// It does not boot.
    fn boot(&self, spec: &MachineSpec) -> Result<Box<dyn Machine>, MachineError>;

    /// Revision of the hypervisor's source, for recordings.
    fn revision(&self) -> &str;
}

/// Refuses a machine whose host is to have virtual machines: our hypervisor has none.
fn without_guests(spec: &MachineSpec) -> Result<(), MachineError> {
    if spec.guest == Guest::None {
        return Ok(());
    }
    let what = "guest= is for a kernel with a hypervisor of its own (see --target): this one has no virtual machines";
    Err(MachineError::Foreign(what.to_owned()))
}
