//! What is looked at: the machine, the registers that count, the hypervisor's own word on where it is.

use parallax_abi::info::HypInfo;
use parallax_addr::{AddressMap, PhysAddr, Span};
use parallax_gic::RawGic;
use parallax_model::Layout;
use parallax_smmu::RawRegs;
use parallax_trace::spec::{MachineSpec, Region};
use parallax_vmsa::SysRegs;
use serde::{Deserialize, Serialize};

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
    /// The GIC's registers that name memory; none where they were not looked at.
    #[serde(default)]
    pub gic: Option<RawGic>,
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
