//! What machine to boot: CPUs, memory, devices and the hypervisor's own options.
//!
//! A [`MachineConfig`] is plain data: it is written into recordings, and [`crate::qemu::args`] turns it into QEMU's
//! argument vector without looking at anything else.

use std::fmt;

use parallax_abi::fault::Fault;
use serde::{Deserialize, Serialize};

/// How the hypervisor uses the SMMU (`smmu=`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmmuMode {
    /// The SMMU has tables of its own that follow the host's stage 2.
    #[default]
    Shadow,
    /// The SMMU walks the host's stage-2 tables themselves.
    Shared,
    /// The hypervisor leaves the SMMU alone.
    Off,
}

/// With what the SMMU's identity table maps memory (`smmu.map=`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MapMode {
    /// The largest blocks that fit.
    #[default]
    Blocks,
    /// 4 KiB pages only.
    Pages,
}

/// Memory type that the SMMU's identity table gives to MMIO (`smmu.mmio=`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MmioPolicy {
    /// By the protection that the host's own mapping has.
    Prot,
    /// Device for all that is not memory.
    #[default]
    Region,
    /// Cacheable for everything.
    Cacheable,
}

/// What the host sees of the SMMU (`smmu.host=`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostView {
    /// Nothing: its registers are out of reach.
    #[default]
    Hidden,
    /// An SMMU of its own, emulated.
    Emulated,
}

macro_rules! option_names {
    ($($type:ty { $($variant:ident = $name:literal),* })*) => {$(
        impl $type {
            /// Every value, with its name on the hypervisor's command line.
            pub const NAMES: &[(Self, &'static str)] = &[$((Self::$variant, $name)),*];

            /// The value that `name` stands for.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::NAMES.iter().find(|(_, known)| *known == name).map(|(value, _)| *value)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $name),* })
            }
        }
    )*};
}

option_names! {
    SmmuMode { Shadow = "shadow", Shared = "shared", Off = "off" }
    MapMode { Blocks = "blocks", Pages = "pages" }
    HostView { Hidden = "hidden", Emulated = "emulated" }
    MmioPolicy { Prot = "prot", Region = "region", Cacheable = "cacheable" }
}

/// Boot options of the hypervisor; [`fmt::Display`] gives its command line (`/chosen/bootargs`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HypOptions {
    /// `smmu=`
    pub smmu: SmmuMode,
    /// `smmu.map=`
    pub map: MapMode,
    /// `smmu.mmio=`
    pub mmio: MmioPolicy,
    /// `smmu.sid_bits=`: StreamIDs 0 to 2^N - 1 are served (0 to 16).
    pub sid_bits: u8,
    /// `smmu.host=`
    #[serde(default)]
    pub smmu_host: HostView,
    /// `donate_mmio=`: physical addresses of 4 KiB MMIO pages that the hypervisor takes before the host runs.
    pub donate_mmio: Vec<u64>,
    /// `host_s2_pages=`: limit of the page pool for the host's stage 2, in pages.
    pub host_s2_pages: Option<u64>,
    /// `fault=`: needs a hypervisor built with faults.
    #[serde(with = "fault_name")]
    pub fault: Option<Fault>,
}

impl Default for HypOptions {
    fn default() -> Self {
        Self {
            smmu: SmmuMode::default(),
            map: MapMode::default(),
            mmio: MmioPolicy::default(),
            sid_bits: 8,
            smmu_host: HostView::Hidden,
            donate_mmio: Vec::new(),
            host_s2_pages: None,
            fault: None,
        }
    }
}

impl fmt::Display for HypOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "smmu={} smmu.map={} smmu.mmio={} smmu.sid_bits={}",
            self.smmu, self.map, self.mmio, self.sid_bits
        )?;
        if self.smmu_host != HostView::Hidden {
            write!(f, " smmu.host={}", self.smmu_host)?;
        }
        for (index, address) in self.donate_mmio.iter().enumerate() {
            let lead = if index == 0 { " donate_mmio=" } else { "," };
            write!(f, "{lead}{address:#x}")?;
        }
        if let Some(pages) = self.host_s2_pages {
            write!(f, " host_s2_pages={pages}")?;
        }
        if let Some(fault) = self.fault {
            write!(f, " fault={}", fault.name())?;
        }
        Ok(())
    }
}

/// Faults are written by name, so that renumbering them does not change what a recording says.
mod fault_name {
    use parallax_abi::fault::Fault;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(fault: &Option<Fault>, serializer: S) -> Result<S::Ok, S::Error> {
        fault.map(Fault::name).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Fault>, D::Error> {
        let name = Option::<String>::deserialize(deserializer)?;
        name.map(|name| {
            Fault::from_name(&name).ok_or_else(|| D::Error::custom(format!("unknown fault `{name}`")))
        })
        .transpose()
    }
}

/// Where an `edu` device (a PCI device that does DMA) sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DmaDevice {
    /// On bus 0, in this slot (1 to 31). StreamID = slot << 3.
    Slot(u8),
    /// Behind a root port in this slot of bus 0 (1 to 31): on bus 1 when it is the only root port. StreamID = bus << 8.
    BehindPort(u8),
}

impl DmaDevice {
    /// The slot of bus 0 that it takes.
    #[must_use]
    pub const fn slot(self) -> u8 {
        match self {
            Self::Slot(slot) | Self::BehindPort(slot) => slot,
        }
    }
}

/// A machine to boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineConfig {
    /// CPUs, 1 to 8.
    pub cpus: u8,
    /// RAM in bytes, a multiple of 2 MiB, at least 128 MiB.
    pub mem_bytes: u64,
    /// QEMU's CPU model (`-cpu`); `max` gets the properties that keep its run reproducible.
    pub cpu: String,
    /// Devices that do DMA.
    pub devices: Vec<DmaDevice>,
    /// The hypervisor's boot options.
    pub hyp: HypOptions,
    /// Boot the build of the hypervisor that contains the switchable faults.
    pub faults_build: bool,
    /// Further arguments for QEMU.
    pub extra: Vec<String>,
}

impl Default for MachineConfig {
    fn default() -> Self {
        Self {
            cpus: 1,
            mem_bytes: 256 << 20,
            cpu: "max".to_owned(),
            devices: vec![DmaDevice::Slot(1)],
            hyp: HypOptions::default(),
            faults_build: false,
            extra: Vec::new(),
        }
    }
}

/// A configuration that no machine can be made of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Number of CPUs out of range.
    #[error("{0} CPUs asked for, 1 to 8 are possible")]
    Cpus(u8),
    /// Size of RAM out of range or misaligned.
    #[error("{0:#x} bytes of RAM asked for; it must be a multiple of 2 MiB, from 128 MiB to 64 GiB")]
    Memory(u64),
    /// A slot out of range.
    #[error("PCI slot {0} asked for, 1 to 31 are possible")]
    Slot(u8),
    /// A slot used twice.
    #[error("two devices in PCI slot {0}")]
    SlotTwice(u8),
    /// The CPU model would be read as something else by QEMU.
    #[error("`{0}` is no name of a CPU model")]
    Cpu(String),
    /// StreamID bits out of range.
    #[error("smmu.sid_bits={0} asked for, 0 to 16 are possible")]
    SidBits(u8),
}

impl MachineConfig {
    /// Whether a machine can be made of this.
    ///
    /// # Errors
    /// The first value that is out of range.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !(1..=8).contains(&self.cpus) {
            return Err(ConfigError::Cpus(self.cpus));
        }
        if !self.mem_bytes.is_multiple_of(2 << 20) || !(128 << 20..=64 << 30).contains(&self.mem_bytes) {
            return Err(ConfigError::Memory(self.mem_bytes));
        }
        let model_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.cpu.is_empty() || !self.cpu.chars().all(model_char) {
            return Err(ConfigError::Cpu(self.cpu.clone()));
        }
        if self.hyp.sid_bits > 16 {
            return Err(ConfigError::SidBits(self.hyp.sid_bits));
        }
        let mut seen = [false; 32];
        for device in &self.devices {
            let slot = device.slot();
            if !(1..=31).contains(&slot) {
                return Err(ConfigError::Slot(slot));
            }
            if std::mem::replace(&mut seen[usize::from(slot)], true) {
                return Err(ConfigError::SlotTwice(slot));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_names_every_option() {
        let options = HypOptions {
            smmu: SmmuMode::Shared,
            smmu_host: HostView::Emulated,
            donate_mmio: vec![0x0901_0000, 0x0903_0000],
            host_s2_pages: Some(12),
            fault: Some(Fault::SmmuNoTlbi),
            ..HypOptions::default()
        };
        assert_eq!(
            options.to_string(),
            "smmu=shared smmu.map=blocks smmu.mmio=region smmu.sid_bits=8 smmu.host=emulated \
             donate_mmio=0x9010000,0x9030000 host_s2_pages=12 fault=smmu_no_tlbi"
        );
    }

    #[test]
    fn names_stand_for_the_values_they_print() {
        for (value, name) in SmmuMode::NAMES {
            assert_eq!(value.to_string(), *name);
            assert_eq!(SmmuMode::from_name(name), Some(*value));
        }
        assert_eq!(MapMode::from_name("page"), None);
    }

    #[test]
    fn config_survives_json_and_faults_go_by_name() {
        let mut config = MachineConfig::default();
        config.hyp.fault = Some(Fault::El2LeftMapped);
        let json = serde_json::to_string(&config).unwrap();
        assert!(json.contains("\"el2_left_mapped\""));
        assert_eq!(serde_json::from_str::<MachineConfig>(&json).unwrap(), config);
        let unknown = json.replace("el2_left_mapped", "no_such_fault");
        assert!(
            serde_json::from_str::<MachineConfig>(&unknown)
                .unwrap_err()
                .to_string()
                .contains("no_such_fault")
        );
    }

    #[test]
    fn impossible_machines_are_refused() {
        let with = |change: fn(&mut MachineConfig)| {
            let mut config = MachineConfig::default();
            change(&mut config);
            config.check()
        };
        assert_eq!(with(|_| ()), Ok(()));
        assert_eq!(with(|c| c.cpus = 0), Err(ConfigError::Cpus(0)));
        assert_eq!(with(|c| c.mem_bytes = 4096), Err(ConfigError::Memory(4096)));
        assert_eq!(with(|c| c.cpu = "max,x=y".into()), Err(ConfigError::Cpu("max,x=y".into())));
        assert_eq!(with(|c| c.devices = vec![DmaDevice::Slot(0)]), Err(ConfigError::Slot(0)));
        assert_eq!(with(|c| c.hyp.sid_bits = 17), Err(ConfigError::SidBits(17)));
        assert_eq!(
            with(|c| c.devices = vec![DmaDevice::Slot(3), DmaDevice::BehindPort(3)]),
            Err(ConfigError::SlotTwice(3))
        );
    }
}
