//! The checker: a state machine for each entry of each live table, fed with [`Event`]s one by one.
//!
//! It models a TLB that never forgets by itself: hardware may evict a translation, software may not rely on it. The
//! TLBs themselves are not simulated. An entry that was live and changed is *unclean* until the events that remove
//! every stale copy have happened in their order; what may not happen before that is a finding. docs/protocol.md has
//! the rules with their sources.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `checker`, `events` | [`Checker`], and what each kind of event does |
//! | `finding` | [`Finding`] |
//! | `rule` | [`Rule`]: the table of the rules |
//! | `change` | what a store means for an entry |
//! | `memory`, `tree_state`, `tree` | contents of memory; which page is a table of which tree |
//! | `entry` | stores to entries of live tables |
//! | `unclean`, `tlb` | unclean entries; TLBI and DSB on the CPUs |
//! | `attempt` | what does not count, and what is missing |
//! | `vmid` | VMIDs whose tree was given up |
//! | `cpu` | what each CPU has done lately |
//! | `bases` | where masters are sent by physical address |
//! | `owners` | pages that change hands |
//! | `fresh` | what EL2 has just mapped for itself |
//! | `smmu_state`, `smmu` | command queue and TLBI commands |
//! | `waiting` | commands that were not given to the SMMU |
//! | `event_queue` | the order in which records are read |
//! | `allowed` | which commands may be given |
//! | `first_use` | what caches hold from before a translation is used |
//! | `locks` | locks that a CPU takes, holds and gives back |
//! | `lines` | what a CPU that starts reads past the caches |
//! | `syndrome` | what an abort's syndrome says of other registers |
//! | `structure`, `stream` | stream table entries and context descriptors |
//! | `context` | where context descriptors are, and what differs for them |
//!
//! Any events are safe to feed: nothing panics, and memory is bounded by [`Config::max_pages`] and the events.

mod allowed;
mod attempt;
mod bases;
mod change;
mod checker;
mod context;
mod cpu;
mod entry;
mod event_queue;
mod events;
mod finding;
mod first_use;
mod fresh;
mod gic;
mod given;
mod lines;
mod locks;
mod look;
mod memory;
mod owners;
mod rule;
mod smc;
mod smmu;
mod smmu_live;
mod smmu_state;
mod stream;
mod structure;
mod syndrome;
mod tlb;
mod tree;
mod tree_state;
mod unclean;
mod vmid;
mod waiting;

pub use self::checker::{Allowances, Checker, Config, Requirements};
pub use self::finding::{Finding, Near, Regime, Site, Subject};
pub use self::look::Side;
pub use self::rule::Rule;
