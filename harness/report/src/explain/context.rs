//! What is known of an operation, and what is asked of it.

use parallax_addr::PhysAddr;
use parallax_machine::recording::format::Site;
use parallax_model::table_map::Table;
use parallax_model::told::PageArray;
use parallax_model::{AddressMap, Span};
use parallax_smmu::strtab::SteArray;
use parallax_vmsa::PhysMem;

/// An operation.
pub struct OperationContext<'a> {
    /// Memory before it.
    pub before: &'a dyn PhysMem,
    /// The tables before it.
    pub tables: &'a [Table],
    /// The tables that are new after it.
    pub new_tables: &'a [Table],
    /// Where stream table entries are.
    pub streams: &'a [SteArray],
    /// The hypervisor's page states.
    pub pages: Option<PageArray>,
    /// Memory of the hypervisor's own: how often it uses a page there is its allocator's matter.
    pub own: &'a [Span<PhysAddr>],
    /// Names of addresses.
    pub map: &'a AddressMap,
    /// The SMMU's command queue.
    pub commands: Span,
    /// The SMMU's registers.
    pub smmu: Span,
    /// EL2's address of physical address 0 in its linear map.
    pub linear: u64,
    /// What is known of instructions, by their addresses.
    pub site: &'a dyn Fn(u64) -> Option<&'a Site>,
}

/// Which entries are asked for: all of them, if neither is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Those that translate this input address; of EL2's, the one that the linear map has for it, too; the state of its page.
    pub ipa: Option<u64>,
    /// That of this stream.
    pub sid: Option<u32>,
}
