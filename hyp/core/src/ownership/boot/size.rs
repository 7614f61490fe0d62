//! How large the page pool must be.

use crate::addr::{PAGE_SIZE, Pfn};
use crate::options::{Options, SmmuMode};
use crate::page_state::PageStates;
use crate::pgtable::geometry::PhysSize;
use crate::pgtable::span;
use crate::regions::Regions;

/// Tables below the root that map all memory page by page, and the region borders anywhere.
fn tables_for(regions: &Regions) -> u64 {
    let memory: u64 = regions.memory().map(|range| range.size / span(2) + range.size / span(1) + 5).sum();
    memory + regions.iter().count() as u64 * 4
}

/// Tables that map all of a stage 2 of `bits` bits by blocks of 1 GiB, root included.
fn tables_for_mmio(bits: u32) -> u64 {
    16 + (1 << bits.saturating_sub(39))
}

/// Pages of the host's stage-2 pool.
pub(super) fn host_pages(regions: &Regions, options: &Options, pa_size: PhysSize) -> u64 {
    const SPARE: u64 = 64;
    let mmio = if options.smmu == SmmuMode::Shared { tables_for_mmio(pa_size.bits()) } else { 16 + SPARE };
    options.host_s2_pages.unwrap_or(tables_for(regions) + mmio)
}

/// The frames that need a page state: the first one and their number.
pub(super) fn frames(regions: &Regions) -> (Pfn, u64) {
    let first = regions.memory().next().map_or(0, |range| range.base.pfn().0);
    let end = regions.memory().last().map_or(0, |range| range.end() / PAGE_SIZE);
    (Pfn(first), end.saturating_sub(first))
}

/// How many bytes the page pool must have, a multiple of 2 MiB. `extra` is the number of pages that
/// [`super::Boot::alloc`] will be asked for.
#[must_use]
pub fn pool_size(regions: &Regions, options: &Options, pa_size: PhysSize, extra: u64) -> u64 {
    const SPARE: u64 = 128;
    let (_, nr) = frames(regions);
    let el2 = PageStates::pages_for(nr) + tables_for(regions) + SPARE;
    let smmu = match options.smmu {
        SmmuMode::Shadow => tables_for(regions) + tables_for_mmio(pa_size.bits()),
        SmmuMode::Shared | SmmuMode::Off => 0,
    };
    let pages = host_pages(regions, options, pa_size) + el2 + smmu;
    pages.saturating_add(extra).saturating_mul(PAGE_SIZE).next_multiple_of(span(2))
}
