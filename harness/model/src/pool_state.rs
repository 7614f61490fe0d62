//! A page pool of the hypervisor's, by its own account.

use parallax_addr::{PhysAddr, Span};

use crate::runs::Runs;

/// What is known of a page that no table can be read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolPage {
    /// It may be handed out.
    Free,
    /// It was neither free nor a table when the machine was first looked at, nor has it become either since: a queue, the
    /// page states.
    SetAside,
}

/// One pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolState {
    /// Its pages.
    pub span: Span<PhysAddr>,
    /// Those that are free, and those that were set aside at the start.
    pub pages: Runs<PhysAddr, PoolPage>,
    /// How many pages it says are free.
    pub counted: u64,
    /// How many are.
    pub free: u64,
    /// What is wrong with its list of free pages.
    pub broken: Option<String>,
    /// Whether its pages are for tables alone: then none is set aside.
    pub only_tables: bool,
}
