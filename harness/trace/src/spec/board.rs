//! The physical memory map of QEMU's `virt` machine (version 10.0, GICv3 with ITS, SMMUv3).

use serde::{Deserialize, Serialize};

use parallax_addr::PhysAddr;

/// First byte of RAM.
pub const RAM_BASE: PhysAddr = PhysAddr::new(0x4000_0000);
/// Where QEMU's loader puts the hypervisor's image: an arm64 Image with text_offset 0.
pub const HYP_BASE: PhysAddr = PhysAddr::new(0x4020_0000);
/// Where the test host's image is loaded, and runs.
pub const PAYLOAD_BASE: PhysAddr = PhysAddr::new(0x4300_0000);
/// Where a Linux kernel's Image is loaded under the hypervisor.
pub const LINUX_BASE: PhysAddr = PhysAddr::new(0x5000_0000);
/// First byte of the SMMU's register frame.
pub const SMMU_BASE: PhysAddr = PhysAddr::new(0x0905_0000);

/// Where PCI's configuration space is.
pub const ECAM_BASE: PhysAddr = PhysAddr::new(0x40_1000_0000);

/// A named range of physical addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// Its name in traces and goldens.
    pub name: String,
    /// First byte.
    pub base: PhysAddr,
    /// Size in bytes.
    pub size: u64,
}

impl Region {
    /// Makes a region.
    #[must_use]
    pub fn new(name: &str, base: PhysAddr, size: u64) -> Self {
        Self { name: name.to_owned(), base, size }
    }

    /// Whether `address` lies in it.
    #[must_use]
    pub const fn contains(&self, address: PhysAddr) -> bool {
        address.get() >= self.base.get() && address.get() - self.base.get() < self.size
    }
}

/// Devices of the machine: name, base, size in bytes.
const DEVICES: &[(&str, u64, u64)] = &[
    ("flash", 0x0000_0000, 0x0800_0000),
    ("gicd", 0x0800_0000, 0x1_0000),
    ("its", 0x0808_0000, 0x2_0000),
    ("gicr", 0x080a_0000, 0xf6_0000),
    ("uart", 0x0900_0000, 0x1000),
    ("rtc", 0x0901_0000, 0x1000),
    ("fwcfg", 0x0902_0000, 0x1000),
    ("gpio", 0x0903_0000, 0x1000),
    ("smmu", SMMU_BASE.get(), 0x2_0000),
    ("virtio", 0x0a00_0000, 0x4000),
    ("platform_bus", 0x0c00_0000, 0x0200_0000),
    ("pcie_mmio", 0x1000_0000, 0x2eff_0000),
    ("pcie_pio", 0x3eff_0000, 0x1_0000),
    ("ecam", ECAM_BASE.get(), 0x1000_0000),
    ("pcie_mmio_high", 0x80_0000_0000, 0x80_0000_0000),
];

/// Every region of a machine with `mem_bytes` of RAM, in order of address; they do not overlap.
#[must_use]
pub fn regions(mem_bytes: u64) -> Vec<Region> {
    let mut list: Vec<Region> =
        DEVICES.iter().map(|&(name, base, size)| Region::new(name, PhysAddr::new(base), size)).collect();
    list.push(Region::new("ram", RAM_BASE, mem_bytes));
    list.sort_by_key(|region| region.base);
    list
}

/// The device region called `name`; RAM is none.
#[must_use]
pub fn device(name: &str) -> Option<Region> {
    regions(0).into_iter().find(|region| region.name == name && name != "ram")
}

/// Names of all device regions as traces write them, `,` between.
#[must_use]
pub fn device_names() -> String {
    let regions = regions(0).into_iter().filter(|region| region.name != "ram");
    regions.map(|region| format!("mmio:{}", region.name)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_ordered_and_do_not_overlap() {
        let list = regions(64 << 30);
        for pair in list.windows(2) {
            assert!(pair[0].base.wrapping_add(pair[0].size) <= pair[1].base, "{pair:?}");
        }
        assert!(list.iter().any(|region| region.name == "ram" && region.size == 64 << 30));
    }

    #[test]
    fn a_region_ends_before_its_end() {
        let region = Region::new("x", PhysAddr::new(0x1000), 0x1000);
        assert!(region.contains(PhysAddr::new(0x1000)) && region.contains(PhysAddr::new(0x1fff)));
        assert!(!region.contains(PhysAddr::new(0xfff)) && !region.contains(PhysAddr::new(0x2000)));
    }
}
