//! Snapshot, canonical form, diff, invariants and golden text.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`snapshot`], [`leaf`], [`smmu_state`], [`gic_state`], [`page`], [`run`] | [`Snapshot`]: everything that translates an address, as maximal runs |
//! | [`mod@capture`], [`told`] | makes a snapshot from registers and memory, decoding only what changed; where the hypervisor's state is |
//! | [`canonical`], [`lane`], [`registers`] | the canonical form and its text |
//! | [`delta`] | what changed between two snapshots |
//! | [`face`] | what two hypervisors are compared by |
//! | [`checks`], [`mod@check`], [`rule`], [`finding`], [`views`], [`reporter`], [`context`], [`freedom`] | what must always hold, and what to say where it does not |
//! | [`attrs`] | the effective memory attributes, CPU beside SMMU |
//! | [`raw`] | descriptors and table addresses, for people |
//! | [`golden`], [`golden_line`] | the text that is reviewed and compared, and how to read it |
#![forbid(unsafe_code)]

pub mod attrs;
pub mod canonical;
pub mod capture;
pub mod check;
pub mod checks;
pub mod context;
pub mod delta;
pub mod face;
pub mod finding;
pub mod freedom;
mod gic_lines;
pub mod gic_state;
pub mod golden;
pub mod golden_line;
pub mod host_tree;
pub mod lane;
pub mod leaf;
pub mod page;
pub mod pool_state;
pub mod raw;
pub mod registers;
pub mod reporter;
pub mod rule;
pub mod run;
mod runs;
pub mod smmu_state;
pub mod snapshot;
pub mod table_map;
#[cfg(test)]
mod testing;
pub mod told;
pub mod views;

pub use parallax_addr::{AddressMap, Span};

pub use canonical::{BlockSize, Line, Sign};
pub use capture::{CaptureCache, GicCache, capture, guest_regimes};
pub use check::{Check, Space};
pub use checks::access::{Access, AccessKind, Agent, Outcome, check_access};
pub use checks::host_tree::check_host_tree;
pub use checks::image::{ImageParts, check_image};
pub use checks::told::check_told_off;
pub use checks::{Checks, check};
pub use context::Context;
pub use delta::{Delta, state_lines};
pub use face::{Difference, Face};
pub use finding::{Finding, Violation};
pub use freedom::{ERANGE, Freedom, Freedoms};
pub use gic_state::{GicState, ItsState};
pub use golden::Golden;
pub use golden_line::{FindingLine, GoldenLine};
pub use host_tree::HostTree;
pub use lane::{Lane, View};
pub use leaf::{S1Entry, S1Leaf, S2Entry, S2Leaf};
pub use page::{Ownership, PageState};
pub use parallax_trace::spec::{MmioPolicy, SmmuMode};
pub use reporter::Reporter;
pub use rule::Rule;
pub use run::Run;
pub use runs::Runs;
pub use smmu_state::{SmmuState, Stream};
pub use snapshot::{CpuControl, Layout, Snapshot};
pub use told::{Field, GuestTable, LockForm, Member, OwnerForm, PageArray, PageFormat, Told, Tree, TreeLock};
pub use views::{Side, Views};
