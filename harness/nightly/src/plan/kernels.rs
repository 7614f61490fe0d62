//! Unmodified kernels with pKVM that traces run on, and what is known of each.

/// A series of Linux (ci/fetch-linux).
#[derive(Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Its name.
    pub series: &'static str,
    /// The folders of traces that run on it.
    pub traces: &'static [&'static str],
    /// What is found on it and decided: theirs. docs/upstream-differences.md has the evidence.
    pub known: &'static [Known],
    /// Traces that do not come to their end on it, and why.
    pub left_out: &'static [(&'static str, &'static str)],
}

/// Findings that are decided.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    /// The rule.
    pub rule: &'static str,
    /// In the state after boot, before any operation.
    pub at_boot: bool,
    /// What it is.
    pub why: &'static str,
}

const STACKS: Known =
    Known { rule: "ownership/el2-mapped", at_boot: true, why: "EL2's stacks are the host's" };
const SYNCHRONISES: Known =
    Known { rule: "isolation/control", at_boot: true, why: "SCTLR_EL2.EIS and EOS are clear" };

const DEVICES: Known = Known {
    rule: "access/unheld",
    at_boot: false,
    why: "no driver of an SMMU is at EL2: devices reach its memory",
};

const RECYCLING: Known = Known {
    rule: "result/long-stay",
    at_boot: false,
    why: "MMIO that is given up is walked table by table, in one stay",
};

const TOUCH: &str = "a touch of EL2's memory ends the machine";
const NO_ENTRY: &str = "its SMMU has no stream table entry for a device that no driver has";
const WIDE: &str = "it does not come up on a CPU with 52-bit addresses";
const NOT_ON_6_12: &[(&str, &str)] = &[
    ("traces/pkvm/abort_then_call.trace", TOUCH),
    ("traces/pkvm/cpu_cortex_a710.trace", TOUCH),
    ("traces/pkvm/cpu_cortex_a72.trace", TOUCH),
    ("traces/pkvm/cpu_neoverse_n1.trace", TOUCH),
    ("traces/pkvm/cpu_neoverse_v1.trace", TOUCH),
    ("traces/pkvm/dma.trace", NO_ENTRY),
    ("traces/pkvm/dma_el2.trace", NO_ENTRY),
    ("traces/pkvm/el2_page.trace", TOUCH),
    ("traces/pkvm/el2_page_sizes.trace", TOUCH),
    ("traces/pkvm/loan_and_aborts.trace", TOUCH),
    ("traces/pkvm/lpa2.trace", WIDE),
    ("traces/pkvm/lpa2_beyond_ram.trace", WIDE),
    ("traces/pkvm/lpa2_borders.trace", WIDE),
    ("traces/pkvm/lpa2_el2_page.trace", WIDE),
    ("traces/pkvm/lpa2_sizes.trace", WIDE),
];
const NOT_ON_7_0: &[(&str, &str)] = &[
    ("traces/pkvm/abort_then_call.trace", TOUCH),
    ("traces/pkvm/cpu_cortex_a710.trace", TOUCH),
    ("traces/pkvm/cpu_cortex_a72.trace", TOUCH),
    ("traces/pkvm/cpu_neoverse_n1.trace", TOUCH),
    ("traces/pkvm/cpu_neoverse_v1.trace", TOUCH),
    ("traces/pkvm/el2_page.trace", TOUCH),
    ("traces/pkvm/el2_page_sizes.trace", TOUCH),
    ("traces/pkvm/loan_and_aborts.trace", TOUCH),
    ("traces/pkvm/lpa2_el2_page.trace", TOUCH),
];

/// All of them, the oldest first.
pub(crate) const KERNELS: &[Kernel] = &[
    Kernel { series: "6.12", traces: &["traces/pkvm"], known: &[], left_out: NOT_ON_6_12 },
    Kernel {
        series: "7.0",
        traces: &["traces/pkvm"],
        known: &[STACKS, SYNCHRONISES, DEVICES],
        left_out: NOT_ON_7_0,
    },
    Kernel { series: "7.1", traces: &["traces/pkvm"], known: &[STACKS, DEVICES], left_out: &[] },
    Kernel { series: "7.2", traces: &["traces/pkvm"], known: &[DEVICES], left_out: &[] },
    Kernel {
        series: "7.3",
        traces: &["traces/pkvm", "traces/guests", "traces/wide"],
        known: &[DEVICES, RECYCLING],
        left_out: &[],
    },
];
