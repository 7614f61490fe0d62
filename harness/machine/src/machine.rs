//! The one narrow door to a machine, live or recorded.

use parallax_abi::info::HypInfo;
use parallax_addr::{AddressMap, PhysAddr, Span};
use parallax_model::Layout;
use parallax_ops::{Answer, Batch};
use parallax_smmu::RawRegs;
use parallax_trace::spec::{MachineSpec, Region};
use parallax_vmsa::{PhysMem, SysRegs};
use serde::{Deserialize, Serialize};

use crate::coverage::Executed;
use crate::error::MachineError;
use crate::extensions::{Debug, Journal, Running, Stream};
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registers {
    /// System registers of CPU 0.
    pub sys: SysRegs,
    /// The SMMU's registers; none when the hypervisor does not use an SMMU.
    pub smmu: Option<RawRegs>,
}

/// What is looked at: a machine that was booted, and the hypervisor that runs on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The machine.
    pub description: Description,
    /// Where the hypervisor is and where it keeps its state, read at the end of its boot.
    pub info: HypInfo,
}

impl Target {
    /// The names of its addresses.
    #[must_use]
    pub fn address_map(&self) -> AddressMap {
        let span = |region: &Region| Span::new(PhysAddr::new(region.base), region.size);
        let regions = self.description.regions.iter().map(|region| (region.name.as_str(), span(region)));
        let layout = Layout::from(&self.info);
        AddressMap::of_regions(regions)
            .with_hypervisor(layout.image, layout.pool)
            .with_host(span(&self.description.payload))
    }
}

/// A machine: a live hypervisor or a recording of one.
///
/// Between two calls the machine stands still: registers and memory are those after the last operation (or after
/// boot, before the first one). Nobody asks which machine it is; what only some can do are extensions, which are there
/// or are not.
pub trait Machine {
    /// What is looked at.
    fn target(&self) -> &Target;

    /// Performs `batch` in order and gives as many answers.
    ///
    /// # Errors
    /// The machine panicked, hung, stopped where it must not, died, or (a recording) holds another operation here.
    /// After an error the machine is not usable any more.
    fn perform(&mut self, batch: &Batch) -> Result<Vec<Answer>, MachineError>;

    /// The registers now.
    ///
    /// # Errors
    /// The connection failed, or the CPU has no such register.
    fn registers(&mut self) -> Result<Registers, MachineError>;

    /// Physical memory now. Reading outside RAM is an error; a recording knows only what was read when it was made.
    fn memory(&self) -> &dyn PhysMem;

    /// Symbols of the images that run, where there are any (not in a recording).
    fn symbols(&self) -> Option<&Symbols> {
        None
    }

    /// Which instructions of the hypervisor ran since power-on; none without a plugin that notes it.
    fn executed(&self) -> Option<Executed> {
        None
    }

    /// What happened, event by event; none without a plugin.
    fn journal(&mut self) -> Option<&mut dyn Journal> {
        None
    }

    /// Operations that are looked at while the machine goes on with the next ones.
    fn stream(&mut self) -> Option<&mut dyn Stream> {
        None
    }

    /// A debugger's way in.
    fn debug(&mut self) -> Option<&mut dyn Debug> {
        None
    }

    /// A guest that runs on its own.
    fn running(&mut self) -> Option<&mut dyn Running> {
        None
    }
}
