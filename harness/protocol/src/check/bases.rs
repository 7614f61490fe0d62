//! Physical addresses that masters are given by registers, each at the moment in which it is written. One that is taken back
//! before anybody looks at the machine was good for as long.

use parallax_abi::page::{HOST_STATE, REFCOUNT, SHARED_OWNED};
use parallax_addr::PAGE_SIZE;
use parallax_gic::{Baser, Cbaser, Pendbaser, Propbaser};

use super::checker::Checker;
use super::finding::{Site, Subject};
use super::memory::Role;
use super::rule::Rule;
use crate::event::GicRegister;

/// First byte and bytes of memory.
pub(super) type Area = (u64, u64);

/// What the hypervisor's memory is for, as far as hints tell.
#[derive(Debug, Default)]
pub(super) struct Areas {
    pub(super) image: Option<Area>,
    pub(super) pool: Option<Area>,
    pub(super) commands: Option<Area>,
    pub(super) events: Option<Area>,
    /// The host's device tree, until the host has started.
    pub(super) tree: Option<Area>,
    /// First byte of the array, and the page frame of its first entry.
    pub(super) page_states: Option<(u64, u64)>,
    /// Bytes with a bit for each LPI's configuration, by the last GICR_PROPBASER.
    lpis: u64,
}

/// Base addresses of the SMMU: bits 51:6, and of queues 51:5.
const ADDRESS: u64 = 0x000f_ffff_ffff_ffe0;
/// Registers of the SMMU.
const STRTAB_BASE: u32 = 0x80;
const CMDQ_BASE: u32 = 0x90;
const EVENTQ_BASE: u32 = 0xa0;
/// Addresses of its MSIs: bits 51:2.
const MSIS: [(u32, &str); 3] =
    [(0x68, "SMMU_GERROR_IRQ_CFG0"), (0xb0, "SMMU_EVENTQ_IRQ_CFG0"), (0xd0, "SMMU_PRIQ_IRQ_CFG0")];
const MSI_ADDRESS: u64 = 0x000f_ffff_ffff_fffc;
/// Most bits of an INTID, less one, and how many are no LPIs.
const ID_BITS: u8 = 23;
const NO_LPIS: u64 = 8192;

pub(super) fn overlaps(area: Option<Area>, (pa, size): Area) -> bool {
    area.is_some_and(|(first, bytes)| pa < first.saturating_add(bytes) && first < pa.saturating_add(size))
}

fn within(area: Option<Area>, (pa, size): Area) -> bool {
    area.is_some_and(|(first, bytes)| pa >= first && pa.saturating_add(size) <= first.saturating_add(bytes))
}

/// Whether a page with this state is lent by the host, and pinned.
pub(super) fn says_lent(state: u64) -> bool {
    let field = |(shift, mask): (u32, u64)| state >> shift & mask;
    field(HOST_STATE) == SHARED_OWNED && field(REFCOUNT) > 0
}

impl Checker {
    /// A register of the SMMU was written. Of one that is written in halves the upper one counts as the last.
    pub(super) fn smmu_base(&mut self, at: Site, offset: u32, size: u8, value: u64) {
        let register = match size {
            8 => offset,
            _ => offset & !4,
        };
        if size != 8 && offset & 4 == 0 {
            return;
        }
        let (strtab, cmdq, eventq) = (self.smmu.strtab_base, self.smmu.cmdq_base, self.smmu.eventq_base);
        let queue = |base: u64, entry: u64| {
            let bytes = entry << (base as u32 & 0x1f).min(19);
            (base & ADDRESS & !(bytes - 1), bytes)
        };
        match register {
            STRTAB_BASE => {
                let table = (strtab & ADDRESS & !0x3f, 64);
                self.own_base(at, "SMMU_STRTAB_BASE", table, None);
            }
            CMDQ_BASE => self.own_base(at, "SMMU_CMDQ_BASE", queue(cmdq, 16), self.areas.commands),
            EVENTQ_BASE => {
                let events = queue(eventq, 32);
                if overlaps(self.areas.image, events) || overlaps(self.areas.pool, events) {
                    self.own_base(at, "SMMU_EVENTQ_BASE", events, self.areas.events);
                } else {
                    self.host_base(at, "SMMU_EVENTQ_BASE", events);
                }
            }
            _ => {
                if size == 8
                    && let Some((_, name)) = MSIS.iter().find(|(msi, _)| *msi == offset)
                {
                    self.host_base(at, name, (value & MSI_ADDRESS, 4));
                }
            }
        }
    }

    /// A register of the GIC was written.
    pub(super) fn gic_base(&mut self, at: Site, register: GicRegister, value: u64) {
        match register {
            GicRegister::GitsCbaser => {
                if let Some(queue) = Cbaser(value).memory() {
                    self.own_base(at, "GITS_CBASER", (queue.base.get(), queue.size), None);
                }
            }
            GicRegister::GitsBaser => {
                if let Some(table) = Baser(value).memory() {
                    self.own_base(at, "GITS_BASER<n>", (table.base.get(), table.size), None);
                }
            }
            GicRegister::GicrPropbaser => {
                let table = Propbaser(value);
                self.areas.lpis = 2 << table.id_bits().min(ID_BITS);
                let size = self.areas.lpis.saturating_sub(NO_LPIS).max(1);
                self.host_base(at, "GICR_PROPBASER", (table.physical_address().get(), size));
            }
            GicRegister::GicrPendbaser => {
                let size = (self.areas.lpis / 8).max(1);
                self.host_base(at, "GICR_PENDBASER", (Pendbaser(value).physical_address().get(), size));
            }
            GicRegister::GitsCwriter | GicRegister::GitsCreadr | GicRegister::GicrCtlr => {}
        }
    }

    /// A table or queue of the hypervisor's, at `area`. `apart` is what it has set apart for it, where that is known.
    fn own_base(&mut self, at: Site, name: &'static str, area: Area, apart: Option<Area>) {
        if area.0 == 0 || self.areas.pool.is_none() {
            return;
        }
        let pages = self.memory.known(area.0, area.1);
        let others = [self.areas.commands, self.areas.events].into_iter().filter(|other| *other != apart);
        let what = if !within(self.areas.pool, area) {
            "memory outside of the page pool"
        } else if pages.iter().any(|page| self.memory.role(*page) != Role::Plain) {
            "a table that translates"
        } else if (area.0 / PAGE_SIZE..=(area.0 + area.1 - 1) / PAGE_SIZE)
            .any(|page| self.guards.contains_key(&page))
        {
            "the page states"
        } else if apart.is_some() && !within(apart, area)
            || others.into_iter().any(|other| overlaps(other, area))
        {
            "memory of the page pool that is not for it"
        } else {
            return;
        };
        self.base_elsewhere(at, name, what);
    }

    /// Memory of the host's, at `area`.
    pub(super) fn host_base(&mut self, at: Site, name: &'static str, area: Area) {
        if area.0 == 0 {
            return;
        }
        let what = if overlaps(self.areas.image, area) || overlaps(self.areas.pool, area) {
            "the hypervisor's memory"
        } else if self.has_unlent(area.0 / PAGE_SIZE, area.0.saturating_add(area.1 - 1) / PAGE_SIZE) {
            "memory that the host has not lent, or that is not pinned"
        } else {
            return;
        };
        self.base_elsewhere(at, name, what);
    }

    /// Whether the host has lent the page of this number to the hypervisor, which has pinned it; where page states tell.
    fn is_lent(&self, page: u64) -> Option<bool> {
        let (array, first) = self.areas.page_states?;
        let entry = array.checked_add(page.checked_sub(first)?.checked_mul(8)?)?;
        self.guards.get(&(entry / PAGE_SIZE))?;
        Some(says_lent(self.memory.read(entry)))
    }

    /// Whether a page from number `first` to `last` is known not to be lent. Only those whose states are known are looked at: an
    /// event may name more than there are.
    fn has_unlent(&self, first: u64, last: u64) -> bool {
        let states = PAGE_SIZE / 8;
        self.guards.keys().filter_map(|page| self.page_of_state(page * PAGE_SIZE)).any(|known| {
            (known.max(first)..=last.min(known + states - 1)).any(|page| self.is_lent(page) == Some(false))
        })
    }

    /// The number of the page whose state stands at `pa`, if it is one.
    pub(super) fn page_of_state(&self, pa: u64) -> Option<u64> {
        let (array, first) = self.areas.page_states?;
        self.guards.get(&(pa / PAGE_SIZE))?;
        first.checked_add(pa.checked_sub(array)? / 8)
    }

    fn base_elsewhere(&mut self, at: Site, name: &'static str, what: &str) {
        let missing = "an address of memory that is for it".to_owned();
        self.report(Rule::BaseElsewhere, Subject::Register(name), at, None, format!("names {what}"), missing);
    }
}
