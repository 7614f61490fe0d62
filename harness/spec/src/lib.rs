//! What is right: the executable specification of the hypervisor's operations.
//!
//! | module | what for |
//! | --- | --- |
//! | [`page`] | what a page is to the parties, and who may reach it then |
//! | [`view`] | what the specification asks of a state, and the state of a real machine as it sees it |
//! | [`need`], [`call`] | one operation after the other: what it needs, how it is refused, what it does |
//! | [`step`] | what an operation that ended in some way may have done |
//! | [`tables`] | when it may fail for want of pages for tables |
//! | [`judge`], `compared` | a real machine's step held against that |
//! | [`holding`], `part`, `words` | what emulated devices have in common: memory that they hold, registers, memory in the middle of a step |
//! | [`viommu`] | the SMMUv3 that the host sees: registers, commands, stream table, the host's own stage 1 |
//! | [`vgic`] | the ITS and the redistributors that the host sees: registers, commands, which memory they hold |
//!
//! It knows nothing of how the hypervisor does it. The table in docs/ownership.md is made from it.
#![forbid(unsafe_code)]

pub mod call;
mod compared;
#[cfg(test)]
mod fakes;
pub mod holding;
pub mod judge;
pub mod need;
pub mod page;
mod part;
pub mod step;
pub mod tables;
pub mod vgic;
pub mod view;
pub mod viommu;
mod words;

pub use call::Specified;
pub use compared::Around;
pub use judge::Judge;
pub use page::Page;
pub use step::{Next, next};
pub use vgic::Vgic;
pub use view::{Effect, Held, Observed, View};
pub use viommu::Viommu;
