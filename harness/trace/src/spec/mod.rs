//! What machine to boot: CPUs, memory, devices and the hypervisor's own options.
//!
//! A [`MachineSpec`] is plain data. [`OPTIONS`] is the one definition of what can be chosen: the machine line of traces,
//! its text, the hypervisor's command line, the limits and the table of docs/traces.md are made from it.

mod before;
mod board;
mod guest;
mod hyp;
mod line;
mod options;
mod size;

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

pub use before::{Firmware, SmmuFails, TreeFile};
pub use board::{
    ECAM_BASE, HYP_BASE, LINUX_BASE, PAYLOAD_BASE, RAM_BASE, Region, SMMU_BASE, device, device_names, regions,
};
pub use guest::Guest;
pub use hyp::{HostView, HypOptions, MapMode, MmioPolicy, SmmuMode};
pub(crate) use line::parse;
pub use options::{MachineOption, OPTIONS};
pub use size::{NotASize, parse_size};

/// How many CPUs a machine can have.
pub const CPUS: RangeInclusive<u8> = 1..=8;
/// How much RAM a machine can have, in bytes: multiples of [`MEMORY_STEP`]. With more, the page pool, whose size follows
/// that of RAM, reaches the device tree.
pub const MEMORY: RangeInclusive<u64> = 128 << 20..=8 << 30;
/// RAM comes in blocks of a level-2 table entry, in bytes.
pub const MEMORY_STEP: u64 = 2 << 20;
/// Width of the StreamIDs that are served, in bits.
pub const SID_BITS: RangeInclusive<u8> = 0..=16;
/// Slots of bus 0 that a device can have; the host bridge has slot 0.
pub const SLOTS: RangeInclusive<u8> = 1..=31;

/// Where an `edu` device (a PCI device that does DMA) sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DmaDevice {
    /// On bus 0, in this slot ([`SLOTS`]). StreamID = slot << 3.
    Slot(u8),
    /// Behind a root port in this slot of bus 0: on bus 1 when it is the only root port. StreamID = bus << 8.
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
pub struct MachineSpec {
    /// How many [`CPUS`].
    pub cpus: u8,
    /// RAM in bytes, see [`MEMORY`].
    pub mem_bytes: u64,
    /// QEMU's CPU model (`-cpu`); `max` gets the properties that keep its run reproducible.
    pub cpu: String,
    /// Devices that do DMA.
    pub devices: Vec<DmaDevice>,
    /// The SMMU has no stage 1.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub second_stage_only: bool,
    /// The device tree that the hypervisor gets in place of QEMU's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<TreeFile>,
    /// What whoever ran before the hypervisor leaves.
    #[serde(default, skip_serializing_if = "is_default")]
    pub firmware: Firmware,
    /// What the SMMU does with commands once the hypervisor has booted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub smmu_fails: SmmuFails,
    /// The host's virtual machine.
    #[serde(default, skip_serializing_if = "is_default")]
    pub guest: Guest,
    /// The hypervisor's boot options.
    pub hyp: HypOptions,
    /// Boot the build of the hypervisor that contains the switchable faults.
    pub faults_build: bool,
    /// Further arguments for QEMU.
    pub extra: Vec<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for MachineSpec {
    fn default() -> Self {
        Self {
            cpus: 1,
            mem_bytes: 256 << 20,
            cpu: "max".to_owned(),
            devices: vec![DmaDevice::Slot(1)],
            second_stage_only: false,
            tree: None,
            firmware: Firmware::default(),
            smmu_fails: SmmuFails::default(),
            guest: Guest::default(),
            hyp: HypOptions::default(),
            faults_build: false,
            extra: Vec::new(),
        }
    }
}

/// A description that no machine can be made of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Number of CPUs out of range.
    #[error("{0} CPUs asked for, {min} to {max} are possible", min = CPUS.start(), max = CPUS.end())]
    Cpus(u8),
    /// Size of RAM out of range or misaligned.
    #[error(
        "{0:#x} bytes of RAM asked for; it must be a multiple of {step} MiB, from {min} MiB to {max} MiB",
        step = MEMORY_STEP >> 20, min = MEMORY.start() >> 20, max = MEMORY.end() >> 20
    )]
    Memory(u64),
    /// A slot out of range.
    #[error("PCI slot {0} asked for, {min} to {max} are possible", min = SLOTS.start(), max = SLOTS.end())]
    Slot(u8),
    /// A slot used twice.
    #[error("two devices in PCI slot {0}")]
    SlotTwice(u8),
    /// The host's SMMU is made of the hardware's, which is not used.
    #[error("`smmu=off` leaves no SMMU for `smmu.host=emulated`: leave one of them out")]
    NoSmmu,
    /// The CPU model would be read as something else by QEMU.
    #[error("`{0}` is no name of a CPU model")]
    Cpu(String),
    /// StreamID bits out of range.
    #[error("smmu.sid_bits={0} asked for, {min} to {max} are possible", min = SID_BITS.start(), max = SID_BITS.end())]
    SidBits(u8),
}

impl MachineSpec {
    /// Whether a machine can be made of this.
    ///
    /// # Errors
    /// The first value that is out of range.
    pub fn check(&self) -> Result<(), SpecError> {
        if !CPUS.contains(&self.cpus) {
            return Err(SpecError::Cpus(self.cpus));
        }
        if !self.mem_bytes.is_multiple_of(MEMORY_STEP) || !MEMORY.contains(&self.mem_bytes) {
            return Err(SpecError::Memory(self.mem_bytes));
        }
        let model_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.cpu.is_empty() || !self.cpu.chars().all(model_char) {
            return Err(SpecError::Cpu(self.cpu.clone()));
        }
        if !SID_BITS.contains(&self.hyp.sid_bits) {
            return Err(SpecError::SidBits(self.hyp.sid_bits));
        }
        if self.hyp.smmu == SmmuMode::Off && self.hyp.smmu_host == HostView::Emulated {
            return Err(SpecError::NoSmmu);
        }
        let mut seen = [false; 32];
        for device in &self.devices {
            let slot = device.slot();
            if !SLOTS.contains(&slot) {
                return Err(SpecError::Slot(slot));
            }
            if std::mem::replace(&mut seen[usize::from(slot)], true) {
                return Err(SpecError::SlotTwice(slot));
            }
        }
        Ok(())
    }

    /// The words behind `machine`, which parse to the same machine; the fault has a line of its own.
    #[must_use]
    pub fn text(&self) -> String {
        let words = OPTIONS.iter().filter_map(|option| {
            let value = (option.print)(self)?;
            Some(format!("{}={value}", option.key))
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use parallax_abi::fault::Fault;

    use super::*;

    #[test]
    fn a_machine_survives_json_and_faults_go_by_name() {
        let mut spec = MachineSpec::default();
        spec.hyp.fault = Some(Fault::El2LeftMapped);
        let json = serde_json::to_string(&spec).unwrap();
        assert!(json.contains("\"el2_left_mapped\""));
        assert_eq!(serde_json::from_str::<MachineSpec>(&json).unwrap(), spec);
        let unknown = json.replace("el2_left_mapped", "no_such_fault");
        assert!(
            serde_json::from_str::<MachineSpec>(&unknown).unwrap_err().to_string().contains("no_such_fault")
        );
    }

    #[test]
    fn impossible_machines_are_refused() {
        let with = |change: fn(&mut MachineSpec)| {
            let mut spec = MachineSpec::default();
            change(&mut spec);
            spec.check()
        };
        assert_eq!(with(|_| ()), Ok(()));
        assert_eq!(with(|c| c.cpus = 0), Err(SpecError::Cpus(0)));
        assert_eq!(with(|c| c.mem_bytes = 4096), Err(SpecError::Memory(4096)));
        assert_eq!(with(|c| c.cpu = "max,x=y".into()), Err(SpecError::Cpu("max,x=y".into())));
        assert_eq!(with(|c| c.devices = vec![DmaDevice::Slot(0)]), Err(SpecError::Slot(0)));
        assert_eq!(with(|c| c.hyp.sid_bits = 17), Err(SpecError::SidBits(17)));
        assert_eq!(
            with(|c| c.devices = vec![DmaDevice::Slot(3), DmaDevice::BehindPort(3)]),
            Err(SpecError::SlotTwice(3))
        );
        let off = |spec: &mut MachineSpec| {
            (spec.hyp.smmu, spec.hyp.smmu_host) = (SmmuMode::Off, HostView::Emulated);
        };
        assert_eq!(with(off), Err(SpecError::NoSmmu));
        let error = SpecError::Memory(4096).to_string();
        assert_eq!(
            error,
            "0x1000 bytes of RAM asked for; it must be a multiple of 2 MiB, from 128 MiB to 8192 MiB"
        );
    }
}
