//! What the device tree says about this machine.

use arm_gic::IntId;
use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::standard::NodeStandard;
use dtoolkit::{Node, Property};

use crate::cpus::MAX_CPUS;

/// How PSCI is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conduit {
    /// `smc #0`.
    Smc,
    /// `hvc #0`.
    Hvc,
}

/// Up to eight `(base, size)` pairs, in bytes; none is empty.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Regions {
    list: [(u64, u64); 8],
    len: usize,
}

impl Regions {
    fn push(&mut self, base: u64, size: u64) {
        if size != 0 && self.len < self.list.len() {
            self.list[self.len] = (base, size);
            self.len += 1;
        }
    }

    /// The pairs, in the tree's order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.list[..self.len].iter().copied()
    }

    /// Does `address` lie in one of them?
    pub(crate) fn contains(&self, address: u64) -> bool {
        self.iter().any(|(base, size)| address >= base && address - base < size)
    }
}

/// The PCI host bridge (`pci-host-ecam-generic`). All sizes are bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PciHost {
    /// Configuration space of bus `first_bus`.
    pub(crate) ecam: u64,
    /// Size of the configuration space: 1 MiB a bus.
    pub(crate) ecam_size: u64,
    /// Number of the root bus.
    pub(crate) first_bus: u8,
    /// CPU address of the window for 32-bit memory BARs.
    pub(crate) mmio: u64,
    /// The same on the PCI bus.
    pub(crate) mmio_bus: u64,
    /// Size of that window.
    pub(crate) mmio_size: u64,
}

/// The machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Board {
    /// RAM.
    pub(crate) ram: Regions,
    /// PSCI's conduit.
    pub(crate) conduit: Conduit,
    /// MPIDR affinity of each CPU, ascending.
    pub(crate) cpus: [u64; MAX_CPUS],
    /// How many of `cpus` there are.
    pub(crate) cpu_count: usize,
    /// GICD.
    pub(crate) gicd: u64,
    /// GICR of the first CPU.
    pub(crate) gicr: u64,
    /// The virtual timer's interrupt, a PPI.
    pub(crate) timer: IntId,
    /// The SMMU's register frame, if there is any.
    pub(crate) smmu: Option<u64>,
    /// PCI, if there is any.
    pub(crate) pci: Option<PciHost>,
}

impl Board {
    /// Reads the tree. `None` if it lacks RAM, CPUs, PSCI, a GICv3 or the architected timer.
    pub(crate) fn from_tree(tree: Fdt<'_>) -> Option<Self> {
        let root = tree.root();
        let mut ram = Regions::default();
        for node in root.children().filter(|node| node.name_without_address() == "memory") {
            for reg in node.reg().ok()?? {
                ram.push(reg.address().ok()?, reg.size().ok()?);
            }
        }
        let mut cpus = [0; MAX_CPUS];
        let mut cpu_count = 0;
        for cpu in root.child("cpus")?.children().filter(|node| node.name_without_address() == "cpu") {
            if cpu_count < MAX_CPUS {
                cpus[cpu_count] = cpu.reg().ok()??.next()?.address().ok()?;
                cpu_count += 1;
            }
        }
        cpus[..cpu_count].sort_unstable();
        let conduit = match root.child("psci")?.property("method")?.value_as::<&str>().ok()? {
            "smc" => Conduit::Smc,
            "hvc" => Conduit::Hvc,
            _ => return None,
        };
        let mut gic = compatible(root, "arm,gic-v3")?.reg().ok()??;
        let (gicd, gicr) = (gic.next()?, gic.next()?);
        // `interrupts` of the timer: secure, non-secure, virtual, hypervisor; three cells each (type, number, flags).
        let timer = compatible(root, "arm,armv8-timer")?.property("interrupts")?;
        let ppi = cell(timer.value(), 7)?;
        (ram.len != 0 && cpu_count != 0 && ppi < IntId::PPI_COUNT).then_some(())?;
        Some(Self {
            ram,
            conduit,
            cpus,
            cpu_count,
            gicd: gicd.address().ok()?,
            gicr: gicr.address().ok()?,
            timer: IntId::ppi(ppi),
            smmu: compatible(root, "arm,smmu-v3").and_then(|node| node.reg().ok()??.next()?.address().ok()),
            pci: compatible(root, "pci-host-ecam-generic").and_then(PciHost::from_node),
        })
    }
}

impl PciHost {
    fn from_node(node: FdtNode<'_>) -> Option<Self> {
        /// `ss` bits (25:24) of the first cell of a PCI address: 32-bit memory space.
        const SPACE: (u32, u32) = (0b11 << 24, 0b10 << 24);
        let config = node.reg().ok()??.next()?;
        let first_bus = node.property("bus-range").and_then(|range| cell(range.value(), 0)).unwrap_or(0);
        let ranges = node.property("ranges")?;
        // Each range: a PCI address (3 cells), a CPU address (2 cells), a size (2 cells).
        let window = ranges
            .value()
            .chunks_exact(7 * 4)
            .find(|range| cell(range, 0).unwrap_or(0) & SPACE.0 == SPACE.1)?;
        Some(Self {
            ecam: config.address().ok()?,
            ecam_size: config.size().ok()?,
            first_bus: first_bus as u8,
            mmio_bus: pair(window, 1)?,
            mmio: pair(window, 3)?,
            mmio_size: pair(window, 5)?,
        })
    }
}

/// The child of `root` that is compatible with `name`.
fn compatible<'a>(root: FdtNode<'a>, name: &str) -> Option<FdtNode<'a>> {
    root.children().find(|node| node.is_compatible(name))
}

/// Cell `index` of a property's value.
fn cell(value: &[u8], index: usize) -> Option<u32> {
    let bytes = value.get(index * 4..index * 4 + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// Cells `index` and `index + 1`, as one number.
fn pair(value: &[u8], index: usize) -> Option<u64> {
    Some(u64::from(cell(value, index)?) << 32 | u64::from(cell(value, index + 1)?))
}
