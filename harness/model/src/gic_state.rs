//! The GIC as its registers and its tables in memory say it is: what it reaches by physical address.

use parallax_addr::{PhysAddr, Span};
use parallax_gic::TableKind;

/// A table of the ITS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItsTable {
    /// Number of its GITS_BASER<n>.
    pub index: u8,
    /// What it is for.
    pub kind: TableKind,
    /// The flat table, or the first level.
    pub first: Span<PhysAddr>,
    /// Pages of the second level.
    pub second: Vec<Span<PhysAddr>>,
}

impl ItsTable {
    /// What the ITS writes of it: entries, but none of a first level.
    #[must_use]
    pub fn written(&self) -> &[Span<PhysAddr>] {
        if self.second.is_empty() { std::slice::from_ref(&self.first) } else { &self.second }
    }
}

/// A device that is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItsDevice {
    /// DeviceID.
    pub id: u32,
    /// Number of EventIDs.
    pub events: u64,
    /// Its ITT.
    pub itt: Span<PhysAddr>,
}

/// An event that is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItsEvent {
    /// DeviceID.
    pub device: u32,
    /// EventID.
    pub event: u32,
    /// The LPI.
    pub intid: u32,
    /// The collection.
    pub icid: u16,
}

/// An ITS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItsState {
    /// GITS_CTLR.Enabled.
    pub enabled: bool,
    /// Its frame of registers.
    pub frame: Span<PhysAddr>,
    /// The command queue, if GITS_CBASER is valid.
    pub queue: Option<Span<PhysAddr>>,
    /// GITS_CWRITER.Offset: the queue's next command comes there.
    pub next_command: u64,
    /// Valid bases of the queue and of tables that the ITS does not use as write-back, inner shareable memory, by name.
    pub incoherent: Vec<String>,
    /// Tables whose GITS_BASER<n> is valid.
    pub tables: Vec<ItsTable>,
    /// Devices that are mapped, in order.
    pub devices: Vec<ItsDevice>,
    /// Collections that are mapped: ICID, and the number of the processor that gets the LPIs.
    pub collections: Vec<(u32, u16)>,
    /// Events that are mapped; none of an ITS that is not enabled.
    pub events: Vec<ItsEvent>,
}

/// A redistributor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedistributorState {
    /// The page of its registers that name memory.
    pub frame: Span<PhysAddr>,
    /// Its tables are in use.
    pub in_use: bool,
    /// The configuration of all LPIs, which it reads.
    pub configuration: Span<PhysAddr>,
    /// The LPIs that are pending, which it reads and writes.
    pub pending: Span<PhysAddr>,
}

/// The GIC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GicState {
    /// The ITS, where there is one.
    pub its: Option<ItsState>,
    /// The redistributors, in the order of the CPUs.
    pub redistributors: Vec<RedistributorState>,
}

impl GicState {
    /// What the ITS writes in memory that the hypervisor gave it, or should have.
    pub fn written(&self) -> impl Iterator<Item = Span<PhysAddr>> {
        self.its.iter().flat_map(|its| &its.tables).flat_map(ItsTable::written).copied()
    }

    /// The tables of the ITS, both levels.
    pub fn tables(&self) -> impl Iterator<Item = Span<PhysAddr>> {
        let tables = self.its.iter().flat_map(|its| &its.tables);
        tables.flat_map(|table| std::iter::once(table.first).chain(table.second.iter().copied()))
    }
}
