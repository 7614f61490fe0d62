//! What is known of trees of tables, and of VMIDs whose tree is no more.

use super::change::Stage;
use super::finding::{Regime, Site};

/// A live root and what walks it.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: u64,
    pub(super) stage: Stage,
    pub(super) start: i8,
    pub(super) tables: u64,
    /// Which regime of the CPUs.
    pub(super) cpu: Option<Regime>,
    /// Its VMID in the SMMU, and whether a stage 1 is nested over it.
    pub(super) smmu: Option<u16>,
    pub(super) nested: bool,
    /// CPUs that have loaded it: bit 63 stands for 63 and above.
    pub(super) loaded: u64,
    pub(super) lock: Option<u64>,
}

impl Tree {
    /// Whether anybody walks it. An SMMU that was turned off translates nothing, and forgets before it is on again.
    pub(super) const fn is_walked(&self) -> bool {
        self.cpu.is_some() || self.smmu.is_some()
    }
}

/// A subtree that was unhooked: its pages wait until every entry of it is clean.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) left: usize,
    pub(super) pages: Vec<u64>,
}

/// A VMID under which translations of a tree that is no more may be cached.
#[derive(Debug)]
pub(super) struct StaleVmid {
    pub(super) root: u64,
    pub(super) since: Site,
    /// CPUs that had loaded the tree, as in a tree.
    pub(super) loaded: u64,
    /// The CPU whose TLBI is not complete yet, and whether it reached that CPU only.
    pub(super) sent: Option<(u16, bool)>,
}
