//! What is looked at: the machine, the registers that count, the hypervisor's own word on where it is.

use parallax_abi::info::HypInfo;
use parallax_addr::{AddressMap, PhysAddr, Span};
use parallax_gic::RawGic;
use parallax_model::Told;
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
    /// What tells the hypervisor's images from all others ([`crate::toolchain::BuiltImages::id`]); empty where it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub images: String,
    /// The machine's regions, in order of address, without overlap.
    pub regions: Vec<Region>,
    /// The test host's image in RAM (inside region `ram`), its zero-initialised data included.
    pub payload: Region,
}

/// The registers of a CPU other than the first one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuRegisters {
    /// Whether it runs the host. One that is at EL2 may be off, or on its way up or down: its registers say nothing then.
    pub below_el2: bool,
    /// Its system registers.
    pub sys: SysRegs,
}

/// The registers that translation and isolation hang on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registers {
    /// System registers of CPU 0.
    pub sys: SysRegs,
    /// The registers of CPU 1 and of those behind it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<CpuRegisters>,
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
    /// Where the hypervisor is and where it keeps its state.
    pub told: Told,
    /// What our hypervisor says of itself, read at the end of its boot; absent where another one runs.
    pub info: Option<HypInfo>,
    /// Numbers of hypercalls by name, where the hypervisor itself tells them.
    pub calls: Vec<(String, u64)>,
}

impl Target {
    /// A machine with our hypervisor, which says `info` of itself.
    #[must_use]
    pub fn new(description: Description, info: HypInfo) -> Self {
        Self { description, told: Told::from(&info), info: Some(info), calls: Vec::new() }
    }

    /// A machine of which nothing is known yet.
    pub(crate) fn unknown() -> Self {
        let (regions, payload) = (Vec::new(), Region::new("host", PhysAddr::new(0), 0));
        let (qemu_version, images) = (String::new(), String::new());
        let description =
            Description { qemu_version, config: MachineSpec::default(), images, regions, payload };
        Self { description, told: Told::default(), info: None, calls: Vec::new() }
    }

    /// What our hypervisor says of itself, all of it 0 where another one runs.
    #[must_use]
    pub fn info_or_zero(&self) -> HypInfo {
        self.info.unwrap_or_default()
    }

    /// The names of its addresses.
    #[must_use]
    pub fn address_map(&self) -> AddressMap {
        let span = |region: &Region| Span::new(region.base, region.size);
        let regions = self.description.regions.iter().map(|region| (region.name.as_str(), span(region)));
        let layout = self.told.layout;
        let names = AddressMap::of_regions(regions);
        // Only ours stands in a part of memory by itself.
        let names = match self.info {
            Some(_) => names.with_hypervisor(layout.image, layout.pool),
            None => names.with_image_and_pool(layout.image, layout.pool),
        };
        let calls = self.calls.iter().map(|(name, number)| (name.as_str(), *number));
        names.with_host(span(&self.description.payload)).with_calls(calls)
    }
}
