//! What is known of the SMMU.

use std::collections::BTreeMap;

use parallax_addr::PAGE_SIZE;
use parallax_smmu::idr::{Idr0, Idr5};

use super::finding::Site;
use super::first_use::SmmuInherited;
use super::smmu_live::Live;
use super::structure::{Contexts, Stream, Structure};
use crate::map::Map;

/// The command queue.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) base: u64,
    pub(super) log2: u32,
    /// The last store to each command, and its time; time 0 is none.
    pub(super) slots: Vec<(Site, u64)>,
}

/// What is known of the SMMU.
#[derive(Debug)]
pub(super) struct Smmu {
    pub(super) enabled: bool,
    /// SMMUEN as it was last read or written.
    pub(super) smmuen: Option<bool>,
    /// GBPA.ABORT as it was last read with Update 0.
    pub(super) gbpa_abort: Option<bool>,
    pub(super) inherited: SmmuInherited,
    pub(super) live: Live,
    pub(super) cmdqen: bool,
    pub(super) queue: Option<Queue>,
    pub(super) cmdq_base: u64,
    pub(super) eventq_base: u64,
    /// Commands given and consumed, counted from the first ever; always a whole number of rounds plus the index.
    pub(super) prod: u64,
    pub(super) cons: u64,
    /// GERRORN as it was last read or written; 0 after reset.
    pub(super) gerrorn: u32,
    /// The command that the SMMU refuses, by the last CMDQ_CONS that was read.
    pub(super) refused: Option<u64>,
    /// IDR0, once it was read.
    pub(super) idr0: Option<Idr0>,
    pub(super) idr5: Idr5,
    pub(super) strtab_base: u64,
    pub(super) strtab_cfg: u32,
    /// Arrays of stream table entries: first byte → end, first StreamID.
    pub(super) arrays: BTreeMap<u64, (u64, u32)>,
    /// The level-1 table: first byte, end.
    pub(super) level1: (u64, u64),
    pub(super) contexts: Contexts,
    pub(super) streams: Map<Structure, Stream>,
    pub(super) streams_open: usize,
    pub(super) vmids: Map<u16, u32>,
    /// Unclean entries (with the time of their store) that a TLBI command covers, and no CMD_SYNC yet.
    pub(super) sent: Vec<(u32, u64)>,
    /// The same with a CMD_SYNC.
    pub(super) synced: Vec<(u32, u64)>,
    /// The store of the last CMD_SYNC that was given, and its time.
    pub(super) last_sync: Option<(Site, u64)>,
    /// Structures with a CFGI command on its way.
    pub(super) cfgi: Vec<Structure>,
}

impl Default for Smmu {
    fn default() -> Self {
        Self {
            enabled: false,
            smmuen: None,
            gbpa_abort: None,
            inherited: SmmuInherited::default(),
            live: Live::default(),
            cmdqen: false,
            queue: None,
            cmdq_base: 0,
            eventq_base: 0,
            prod: 0,
            cons: 0,
            gerrorn: 0,
            refused: None,
            idr0: None,
            // OAS 48 bits, until IDR5 is read.
            idr5: Idr5([5]),
            strtab_base: 0,
            strtab_cfg: 0,
            arrays: BTreeMap::new(),
            level1: (0, 0),
            contexts: Contexts::default(),
            streams: Map::default(),
            streams_open: 0,
            vmids: Map::default(),
            sent: Vec::new(),
            synced: Vec::new(),
            last_sync: None,
            cfgi: Vec::new(),
        }
    }
}

impl Smmu {
    /// Whether stores to a page mean something beyond their value.
    pub(super) fn watches(&self, page: u64) -> bool {
        let queue = self.queue.as_ref().is_some_and(|queue| {
            page < queue.base + (16 << queue.log2) && queue.base < page.saturating_add(PAGE_SIZE)
        });
        let level1 = page < self.level1.1 && self.level1.0 < page.saturating_add(PAGE_SIZE);
        let array = self
            .arrays
            .range(..page.saturating_add(PAGE_SIZE))
            .next_back()
            .is_some_and(|(_, (end, _))| *end > page);
        queue || level1 || array || self.contexts.overlap(page, page.saturating_add(PAGE_SIZE))
    }
}
