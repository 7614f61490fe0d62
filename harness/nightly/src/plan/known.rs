//! What is known of single traces and faults, each with its reason; and which kernels are booted as the host.

/// Traces that are about another setting, performed on their own machines only; and why.
pub(crate) const OWN_MACHINE: &[(&str, &str)] = &[
    ("traces/good/smmu_off_events.trace", "it is about a hypervisor that leaves the SMMU alone"),
    ("traces/good/smmu_off.trace", "it is about a hypervisor that leaves the SMMU alone"),
    ("traces/good/host_tables_used_up.trace", "its few pages for tables do not suffice for a shared one"),
    ("traces/good/mmio_recycled.trace", "its few pages for tables do not suffice for a shared one"),
    ("traces/good/donate_out_of_tables.trace", "its few pages for tables do not suffice for a shared one"),
    ("traces/good/shared_out_of_tables.trace", "its pages for tables are counted for blocks"),
    ("traces/good/el2_out_of_tables.trace", "its pages for tables are counted for blocks"),
    ("traces/good/el2_out_of_tables_return.trace", "its pages for tables are counted for blocks"),
    ("traces/good/no_map_is_no_mmio.trace", "its device tree has one CPU"),
    ("traces/good/tree_below_a_master.trace", "its device tree has one CPU"),
    ("traces/good/tree_bridge_in_part.trace", "its device tree has one CPU"),
    ("traces/good/tree_iommus_of_two.trace", "its device tree has one CPU"),
    ("traces/good/tree_initrd.trace", "its device tree has one CPU"),
    ("traces/good/tree_reserved.trace", "its device tree has one CPU"),
    ("traces/good/tree_soc.trace", "its device tree has one CPU"),
    (
        "traces/good/together_aborts.trace",
        "its turns of CPUs are those of a hypervisor with tables for the SMMU",
    ),
    ("traces/good/gicr_lpi_tables.trace", "it reads GICR_TYPER, which says whether there are more CPUs"),
    ("traces/good/its_commands.trace", "it names a redistributor that is not there on one CPU"),
];

/// Faults that a hostile host finds.
pub(crate) const HOSTILE_FAULTS: [&str; 5] = [
    "viommu_ste_unchecked",
    "viommu_s2_fields_from_host",
    "viommu_evtq_unchecked",
    "viommu_memory_not_held",
    "viommu_missing_nh_all",
];

/// Newer kernels than the default one that are booted as the host, as far as the distribution's archive has them (ci/fetch-linux).
pub(crate) const SERIES: [&str; 2] = ["7.2", "7.3"];

/// Good traces in whose events Casemate sees what it does not allow (docs/protocol.md), with its own words.
pub(crate) const CASEMATE_REFUSES: &[(&str, &str)] = &[
    ("traces/good/donate_out_of_tables.trace", "Wrote plain without authorization"),
    ("traces/good/firmware_dirty_shared.trace", "BBM valid->valid"),
    ("traces/good/host_tables_used_up.trace", "Wrote plain without authorization"),
    ("traces/good/mmio_recycled.trace", "Wrote plain without authorization"),
    ("traces/good/shared.trace", "BBM valid->valid"),
    ("traces/good/shared_out_of_tables.trace", "BBM valid->valid"),
    ("traces/good/shared_split.trace", "BBM valid->valid"),
    ("traces/good/split_1g.trace", "Wrote plain without authorization"),
    ("traces/good/viommu_shared.trace", "BBM valid->valid"),
];

/// Of longer events Casemate is not asked: it takes longer than the rest of the night.
pub(crate) const CASEMATE_MOST: u64 = 100_000_000;

/// In how many nights all small changes of the hypervisor have had their turn.
pub(crate) const MUTANT_PARTS: i64 = 64;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::plan::kernels::KERNELS;

    #[test]
    fn the_kernels_are_those_that_are_fetched() {
        let script = include_str!("../../../../ci/nightly");
        let all: Vec<&str> = KERNELS.iter().map(|kernel| kernel.series).collect();
        assert!(script.contains(&format!("for series in {};", all.join(" "))));
        assert!(SERIES.iter().all(|series| all.contains(series)));
    }

    #[test]
    fn every_trace_that_is_named_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let left_out = KERNELS.iter().flat_map(|kernel| kernel.left_out);
        for (trace, why) in OWN_MACHINE.iter().chain(CASEMATE_REFUSES).chain(left_out) {
            assert!(root.join(trace).is_file() && !why.is_empty(), "{trace}");
        }
    }
}
