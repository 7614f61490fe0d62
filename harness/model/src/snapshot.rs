//! Everything that translates an address, at one moment.
//!
//! A [`Snapshot`] is plain data: [`crate::capture`] makes it from a machine, the checks judge it, [`crate::delta`] compares
//! two of them. Only what has meaning is in it; addresses of table pages stand in [`Snapshot::tables`] and nowhere
//! else, so that two snapshots of the same meaning differ in nothing a golden shows.

use std::collections::BTreeMap;
use std::sync::Arc;

use parallax_abi::info::HypInfo;
use parallax_addr::{HypVa, Ipa, PAGE_SIZE, PhysAddr, Span, VmHandle, Vmid};
use parallax_vmsa::SysRegs;
use serde::{Deserialize, Serialize};

use crate::gic_state::GicState;
use crate::leaf::{S1Entry, S2Entry};
use crate::page::PageState;
use crate::pool_state::PoolState;
use crate::run::Run;
use crate::runs::Runs;
use crate::smmu_state::SmmuState;

/// Where the hypervisor and its parts are, by its own account ([`HypInfo`]). Physical unless the name says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// The image.
    pub image: Span<PhysAddr>,
    /// EL2 virtual address of its first byte.
    pub image_va: HypVa,
    /// The page pool.
    pub pool: Span<PhysAddr>,
    /// Further memory of its own; what is empty does not count.
    #[serde(default)]
    pub parts: [Span<PhysAddr>; 4],
    /// Constants among the parts; empty where they are not told.
    #[serde(default, skip_serializing_if = "Span::is_empty")]
    pub constants: Span<PhysAddr>,
    /// EL2 virtual address = physical address + this, for pool, pages in use and MMIO.
    pub linear_offset: u64,
    /// The SMMU's register frame; empty when there is none or it is not used.
    pub smmu: Span<PhysAddr>,
    /// The SMMU's command queue.
    pub cmdq: Span<PhysAddr>,
    /// The SMMU's event queue.
    pub evtq: Span<PhysAddr>,
    /// The memory that the page-state array describes.
    pub described: Span<PhysAddr>,
}

impl From<&HypInfo> for Layout {
    fn from(info: &HypInfo) -> Self {
        Self {
            image: Span::new(PhysAddr::new(info.image_pa), info.image_size),
            image_va: HypVa::new(info.image_va),
            pool: Span::new(PhysAddr::new(info.pool_pa), info.pool_size),
            parts: Default::default(),
            constants: Span::default(),
            linear_offset: info.linear_offset,
            smmu: Span::new(PhysAddr::new(info.smmu_pa), info.smmu_size),
            cmdq: Span::new(PhysAddr::new(info.cmdq_pa), info.cmdq_size),
            evtq: Span::new(PhysAddr::new(info.evtq_pa), info.evtq_size),
            described: Span::new(
                PhysAddr::new(info.vmemmap_first_pfn.wrapping_mul(PAGE_SIZE)),
                info.vmemmap_nr.wrapping_mul(PAGE_SIZE),
            ),
        }
    }
}

impl Layout {
    /// All memory of its own.
    pub fn own(&self) -> impl Iterator<Item = Span<PhysAddr>> + use<> {
        let all = [self.image, self.pool].into_iter().chain(self.parts);
        all.filter(|span| !span.is_empty())
    }

    /// Whether `address` is in memory of its own.
    #[must_use]
    pub fn is_own(&self, address: PhysAddr) -> bool {
        self.own().any(|span| span.contains(address))
    }
}

/// The CPU's side of translation, from HCR_EL2, VTTBR_EL2, VTCR_EL2 and SCTLR_EL2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuControl {
    /// HCR_EL2.VM: stage 2 translates.
    pub stage2_enabled: bool,
    /// HCR_EL2.FWB: stage 2 forces write-back.
    pub fwb: bool,
    /// VTTBR_EL2.VMID.
    pub vmid: u16,
    /// VTTBR_EL2.BADDR.
    pub root: PhysAddr,
    /// Input address size in bits: 64 - VTCR_EL2.T0SZ.
    pub input_bits: u8,
    /// SCTLR_EL2.M: EL2's stage 1 translates.
    pub el2_enabled: bool,
    /// SCTLR_EL2.WXN: what is writable is not executable.
    pub el2_wxn: bool,
}

/// A CPU that runs the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Its number.
    pub number: usize,
    /// What its registers say of translation.
    pub control: CpuControl,
    /// Its registers.
    pub registers: SysRegs,
}

/// Which walks read a table page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TableUse {
    /// The host's stage 2.
    pub cpu: bool,
    /// EL2's stage 1.
    pub el2: bool,
    /// The SMMU's stage 2.
    pub smmu: bool,
    /// The SMMU's stream table.
    pub strtab: bool,
    /// The stage 2 of a virtual machine.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guest: bool,
}

/// A virtual machine, as the hypervisor has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    /// What the hypervisor calls it.
    pub handle: VmHandle,
    /// Whose translations those of its stage 2 are.
    pub vmid: Vmid,
    /// The root of its stage 2; none where it has none yet.
    pub root: Option<PhysAddr>,
    /// Bits of its addresses.
    pub input_bits: u8,
}

/// A stage-2 table of the SMMU: its place in [`SmmuState::tables`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub usize);

/// An address space that tables of its own describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AddressSpace {
    /// IPAs of the host: its stage 2.
    Host,
    /// IPAs of a virtual machine: its stage 2.
    Guest(VmHandle),
    /// Virtual addresses at EL2: its stage 1.
    El2,
    /// IPAs of streams: a stage 2 of the SMMU.
    Smmu(TableId),
}

/// What an address space maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// By stage 1.
    Stage1(Runs<HypVa, S1Entry>),
    /// By stage 2.
    Stage2(Runs<Ipa, S2Entry>),
}

/// One moment. What is absent was not looked at, or is not there: it is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Where things are.
    pub layout: Layout,
    /// The CPUs that run the host, by number; the first one is there.
    pub cpus: Vec<Cpu>,
    /// The CPUs' address spaces. One whose translation is off is absent.
    pub spaces: BTreeMap<AddressSpace, Mapping>,
    /// Page states, by physical address; absent where the hypervisor keeps none that is understood.
    pub pages: Option<Runs<PhysAddr, PageState>>,
    /// The page pools, by their own account: that of the host's stage 2, and that of EL2's and the SMMU's; absent where the
    /// hypervisor tells of none.
    pub pools: Option<Arc<[PoolState]>>,
    /// The SMMU, when the hypervisor uses one.
    pub smmu: Option<SmmuState>,
    /// The GIC, where its registers were looked at.
    pub gic: Option<Arc<GicState>>,
    /// Pages that the walks above read as tables, by physical address.
    pub tables: Runs<PhysAddr, TableUse>,
    /// The virtual machines whose stage 2 the hypervisor has, by handle; absent where it is not known to have any. What they map is
    /// in [`Self::spaces`].
    pub guests: Option<Arc<[Guest]>>,
    /// What could not be read or decoded at all, in words.
    pub faults: Vec<String>,
}

impl Snapshot {
    /// Registers of the first CPU.
    #[must_use]
    pub fn control(&self) -> &CpuControl {
        &self.cpus[0].control
    }

    /// Whether the SMMU aborts everything, and records nothing of it: SMMUEN = 0 and GBPA.ABORT = 1.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.smmu.as_ref().is_some_and(|smmu| !smmu.control.enabled && smmu.control.gbpa_abort)
    }

    /// What a stage 2 maps: the host's, a virtual machine's or one of the SMMU's. None if it is absent.
    #[must_use]
    pub fn stage2(&self, space: AddressSpace) -> Option<&[Run<Ipa, S2Entry>]> {
        if let AddressSpace::Smmu(TableId(table)) = space {
            return self.smmu.as_ref()?.tables.get(table).map(|table| &*table.entries);
        }
        match self.spaces.get(&space)? {
            Mapping::Stage2(entries) => Some(entries),
            Mapping::Stage1(_) => None,
        }
    }

    /// [`Self::host`], shared.
    pub(crate) fn host_runs(&self) -> Runs<Ipa, S2Entry> {
        match self.spaces.get(&AddressSpace::Host) {
            Some(Mapping::Stage2(entries)) => entries.clone(),
            _ => Runs::default(),
        }
    }

    /// [`Self::el2`], shared.
    pub(crate) fn el2_runs(&self) -> Runs<HypVa, S1Entry> {
        match self.spaces.get(&AddressSpace::El2) {
            Some(Mapping::Stage1(entries)) => entries.clone(),
            _ => Runs::default(),
        }
    }

    /// The host's stage 2, by IPA; nothing where it is absent.
    #[must_use]
    pub fn host(&self) -> &[Run<Ipa, S2Entry>] {
        self.stage2(AddressSpace::Host).unwrap_or_default()
    }

    /// Each virtual machine whose stage 2 is there, and what that maps.
    pub fn guest_spaces(&self) -> impl Iterator<Item = (VmHandle, &Runs<Ipa, S2Entry>)> {
        self.spaces.iter().filter_map(|(space, mapping)| match (space, mapping) {
            (AddressSpace::Guest(handle), Mapping::Stage2(entries)) => Some((*handle, entries)),
            _ => None,
        })
    }

    /// EL2's stage 1, by virtual address; nothing where it is absent.
    #[must_use]
    pub fn el2(&self) -> &[Run<HypVa, S1Entry>] {
        match self.spaces.get(&AddressSpace::El2) {
            Some(Mapping::Stage1(entries)) => entries,
            _ => &[],
        }
    }

    /// Page states, by physical address; nothing where they are absent.
    #[must_use]
    pub fn pages(&self) -> &[Run<PhysAddr, PageState>] {
        self.pages.as_deref().unwrap_or_default()
    }
}
