//! Switchable faults. Each stands at a seam: a step of the hypervisor that is called through here, and done wrongly while
//! the fault is on. What calls it reads as if there were no faults.
//!
//! | module | seams |
//! | --- | --- |
//! | `cpu` | the CPUs' TLB maintenance, and the SMMU's for the idmap: [`Invalidate`](crate::pgtable::Invalidate) |
//! | `tree` | the order in which entries are written, tables hooked in, freed and invalidated |
//! | `attrs` | attributes of leaves |
//! | `idmap` | the hook through which the SMMU follows the host, and the snapshot |
//! | `ownership` | what is asked of a page, and what becomes of it |
//! | `bases` | where tables and queues are, and what they are read with |
//! | `boot` | what the host may not have when it starts, and what was there before the hypervisor |
//! | `cmdq` | commands on their way into the SMMU's queue, and the wait for them |
//! | `ste` | stream table entries, and the steps in which one is replaced |
//! | `inject` | what the host is told of an access, and gets of one that is performed for it |
//! | `its` | the memory of the host's ITS and LPIs |
//! | `viommu` | the host's commands, entries and registers |
//!
//! A normal build has none of these: in their place stands `absent`, which lets everything pass.

#[cfg(not(feature = "faults"))]
mod absent;
#[cfg(feature = "faults")]
mod attrs;
#[cfg(feature = "faults")]
mod bases;
#[cfg(feature = "faults")]
mod boot;
#[cfg(feature = "faults")]
mod cmdq;
#[cfg(feature = "faults")]
mod cpu;
#[cfg(feature = "faults")]
mod idmap;
#[cfg(feature = "faults")]
mod inject;
#[cfg(feature = "faults")]
mod its;
#[cfg(feature = "faults")]
mod ownership;
#[cfg(feature = "faults")]
mod ste;
#[cfg(feature = "faults")]
mod tree;
#[cfg(feature = "faults")]
mod viommu;

#[cfg(not(feature = "faults"))]
pub use absent::{
    boot_bytes, esr_el1, far_el1, hcr_el2, is_off, is_stepped_over, load_syndrome, mdcr_el2, no_map,
    register, sctlr_el2, spsr_el1, stacks, tree_bytes, user_fsc, vector, vttbr_el2,
};
#[cfg(feature = "faults")]
pub use attrs::{hcr_el2, sctlr_el2, stacks, vttbr_el2};
#[cfg(feature = "faults")]
pub use boot::{is_off, no_map};
#[cfg(feature = "faults")]
pub use cpu::{boot_bytes, is_stepped_over, mdcr_el2, tree_bytes, user_fsc};
#[cfg(feature = "faults")]
pub use inject::{esr_el1, far_el1, load_syndrome, register, spsr_el1, vector};

#[cfg(not(feature = "faults"))]
pub(crate) use absent::*;
#[cfg(feature = "faults")]
pub(crate) use {
    attrs::*, bases::*, boot::*, cmdq::*, cpu::*, idmap::*, its::*, ownership::*, ste::*, tree::*, viommu::*,
};
