//! Each switchable fault that changes what the core leaves in tables and states is found here, too.
#![cfg(feature = "faults")]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};

use hyp_core::fault::{Fault, switch_on};
use parallax_twin::{Board, boot};
use support::{MEMORY, Random};

const OPS: usize = 2_000;
const MACHINES: u64 = 4;

/// Whether anything is wrong on a machine of the core as it is now.
fn is_found(options: &'static str, seed: u64) -> bool {
    let mut twin = boot::boot(Board { options, memory: MEMORY, smmu_bits: 48 });
    let mut random = Random::new(seed);
    !twin.at_boot().is_empty() || (0..OPS).any(|_| !twin.perform(&random.operation()).wrong.is_empty())
}

/// A fault is switched on in the whole process: this is one test.
#[test]
fn faults_of_tables_and_states_are_found() {
    const OPTIONS: [&str; 4] =
        ["donate_mmio=0x9010000", "host_s2_pages=12", "smmu=shared", "el2_free_pages=3"];
    std::panic::set_hook(Box::new(|_| ()));
    let found = || {
        let runs = || OPTIONS.into_iter().flat_map(|options| (0..MACHINES).map(move |seed| (options, seed)));
        // A store to where no memory is, is found too.
        runs()
            .any(|(options, seed)| catch_unwind(AssertUnwindSafe(|| is_found(options, seed))).unwrap_or(true))
    };
    let without = found();
    let missed = |fault: &&str| {
        switch_on(Fault::from_name(fault).expect("a fault"));
        !found()
    };
    let missed: Vec<&str> = FOUND.iter().copied().filter(missed).collect();
    _ = std::panic::take_hook();
    assert!(!without, "something is found without a fault");
    assert_eq!(missed, [""; 0]);
}

/// All that change what stands in tables and states. The others are about registers, the order of events, the SMMU's driver, the emulated
/// SMMU and ITS, or what the host is told of an abort.
const FOUND: [&str; 43] = [
    "smmu_tlbi_after_unlock",
    "smmu_unmap_skipped",
    "smmu_unmap_first_page_only",
    "smmu_map_skipped",
    "smmu_split_drops_neighbours",
    "smmu_map_drifts",
    "smmu_map_wrong_attr",
    "smmu_snapshot_wrong_attr",
    "smmu_snapshot_ignores_annotation",
    "smmu_snapshot_update_lost",
    "smmu_ste_bypass",
    "smmu_ste_no_record",
    "smmu_recycle_propagated",
    "smmu_mmio_not_donated",
    "host_donate_keeps_mapping",
    "host_donate_no_tlbi",
    "host_donate_checks_first_page_only",
    "host_donate_first_page_only",
    "host_donate_partial",
    "host_fault_maps_over_annotation",
    "host_fault_maps_wrong_pa",
    "host_mmio_executable",
    "host_memory_device",
    "host_recycle_drops_annotation",
    "host_share_unchecked",
    "host_unshare_ignores_pin",
    "hyp_donate_ignores_reference",
    "el2_left_mapped",
    "pool_not_annotated",
    "host_donate_state_stale",
    "host_split_drifts",
    "host_tlbi_stage2_only",
    "host_tlbi_local",
    "host_tlbi_wrong_level",
    "host_map_unlocked",
    "stage2_roots_misaligned",
    "smmu_walks_non_cacheable",
    "smmu_idmap_not_shareable",
    "el2_data_not_shareable",
    "pin_not_mapped",
    "host_tables_counted_short",
    "table_lost",
    "table_freed_twice",
];
