//! The one narrow door to a machine, live or recorded.

use parallax_abi::info::HypInfo;
use parallax_abi::journal::Record;
use parallax_abi::mailbox::{Request, Response};
use parallax_smmu::RawRegs;
use parallax_trace::spec::{MachineSpec, Region};
use parallax_vmsa::{PhysMem, SysRegs};
use serde::{Deserialize, Serialize};

use crate::coverage::Executed;
use crate::error::MachineError;
use crate::live::Live;
use crate::symbols::Symbols;

/// What a machine is; the same for the whole of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// QEMU's version, such as `10.0.2`.
    pub qemu_version: String,
    /// What was booted.
    pub config: MachineSpec,
    /// The machine's regions, in order of address, without overlap.
    pub regions: Vec<Region>,
    /// The test host's image in RAM (inside region `ram`), its zero-initialised data included.
    pub payload: Region,
}

/// The registers that translation hangs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registers {
    /// System registers of CPU 0.
    pub sys: SysRegs,
    /// The SMMU's registers; none when the hypervisor does not use an SMMU.
    pub smmu: Option<RawRegs>,
}

/// A machine: a live hypervisor or a recording of one.
///
/// Between two calls the machine stands still: registers and memory are those after the last operation (or after
/// boot, before the first one).
pub trait Machine {
    /// What the machine is.
    fn description(&self) -> &Description;

    /// What the hypervisor says of itself, read at the end of its boot.
    fn info(&self) -> HypInfo;

    /// Performs `batch` in order and gives as many responses.
    ///
    /// # Errors
    /// The machine panicked, hung, stopped where it must not, died, or (a recording) holds another operation here.
    /// After an error the machine is not usable any more.
    fn perform(&mut self, batch: &[Request]) -> Result<Vec<Response>, MachineError>;

    /// The registers now.
    ///
    /// # Errors
    /// The connection failed, or the CPU has no such register.
    fn registers(&mut self) -> Result<Registers, MachineError>;

    /// Physical memory now. Reading outside RAM is an error; a recording knows only what was read when it was made.
    fn memory(&self) -> &dyn PhysMem;

    /// What a plugin recorded since the last call, in the order of what happened; nothing without a plugin.
    ///
    /// # Errors
    /// The plugin's journal cannot be believed.
    fn events(&mut self) -> Result<Vec<Record>, MachineError> {
        Ok(Vec::new())
    }

    /// Level of FEAT_BBM on the CPUs (ID_AA64MMFR2_EL1.BBM); 0 where it cannot be told.
    ///
    /// # Errors
    /// The connection failed.
    fn bbm_level(&mut self) -> Result<u8, MachineError> {
        Ok(0)
    }

    /// Which instructions of the hypervisor ran since power-on; none without a plugin that notes it.
    fn executed(&self) -> Option<Executed> {
        None
    }

    /// Symbols of the images that run, where there are any (not in a recording).
    fn symbols(&self) -> Option<&Symbols>;

    /// The machine itself if it is a live one, for a debugger.
    fn live(&mut self) -> Option<&mut Live> {
        None
    }
}
