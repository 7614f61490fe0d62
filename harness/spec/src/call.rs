//! The calls of the hypervisor, one after the other.

use parallax_abi::errno::ENODEV;
use parallax_abi::errno::{ENOENT, ENOMEM, EPERM};
use parallax_ops::Call;

use crate::need::{self, Named, Need};
use crate::page::Page;

/// The specification of a call.
pub struct Specified {
    /// Its word in traces.
    pub word: &'static str,
    /// What it needs. The first need that is broken gives the error, so the order is part of the specification.
    pub needs: &'static [Need],
    /// Errors that it may end with all the same, nothing changed, and when.
    pub may_fail: &'static [(i64, &'static str)],
    /// What each page becomes.
    pub becomes: fn(Page) -> Page,
    /// The same in words.
    pub effect: &'static str,
}

/// Tables of EL2 or of the SMMU may be needed, and the pool they come from has an end.
const NO_TABLES: (i64, &str) = (ENOMEM, "no page for a table is left");

/// All of them.
pub const CALLS: &[Specified] = &[
    Specified {
        word: "host_share_hyp",
        needs: &[need::MEMORY, need::HOSTS],
        may_fail: &[],
        becomes: |_| Page::Lent { pins: 0, held: 0 },
        effect: "the page is lent; the host and its devices keep it, EL2 does not map it",
    },
    Specified {
        word: "host_unshare_hyp",
        needs: &[need::MEMORY, need::LENT, need::NOT_PINNED],
        may_fail: &[],
        becomes: |_| Page::Host,
        effect: "the page is the host's alone",
    },
    Specified {
        word: "hyp_pin_shared_mem",
        needs: &[
            need::COUNT,
            need::PLACE,
            need::RANGE,
            need::REGION,
            need::MEMORY,
            need::LENT,
            need::COUNTABLE,
        ],
        may_fail: &[NO_TABLES],
        becomes: |page| match page {
            Page::Lent { pins, held } => Page::Lent { pins: pins.saturating_add(1), held },
            other => other,
        },
        effect: "each page has one pin more; EL2 maps it from the first one on",
    },
    Specified {
        word: "hyp_unpin_shared_mem",
        needs: &[need::COUNT, need::PLACE, need::RANGE, need::REGION, need::MEMORY, need::PINNED],
        may_fail: &[],
        becomes: |page| match page {
            Page::Lent { pins, held } => Page::Lent { pins: pins.saturating_sub(1), held },
            other => other,
        },
        effect: "each page has one pin less; EL2 maps it no more after the last one",
    },
    Specified {
        word: "host_donate_hyp",
        needs: &[need::COUNT, need::PLACE, need::RANGE, need::REGION, need::MEMORY, need::HOSTS],
        may_fail: &[NO_TABLES],
        becomes: |_| Page::Given { users: 0 },
        effect: "each page is the hypervisor's: neither the host's CPUs nor its devices reach it, EL2 maps it",
    },
    Specified {
        word: "hyp_donate_host",
        needs: &[
            need::COUNT,
            need::PLACE,
            need::RANGE,
            need::REGION,
            need::MEMORY,
            need::GIVEN,
            need::UNUSED,
        ],
        may_fail: &[NO_TABLES],
        becomes: |_| Page::Host,
        effect: "each page is the host's alone: its CPUs and devices reach it, EL2 maps it no more",
    },
    Specified {
        word: "host_donate_hyp_mmio",
        needs: &[need::COUNT, need::PLACE, need::RANGE, need::MMIO, need::AT_BOOT],
        may_fail: &[],
        becomes: |page| page,
        effect: "nothing",
    },
    Specified {
        word: "hyp_donate_host_mmio",
        needs: &[
            need::COUNT,
            need::PLACE,
            need::RANGE,
            need::MMIO,
            need::MMIO_GIVEN,
            need::MMIO_UNUSED,
            need::AT_BOOT,
        ],
        may_fail: &[],
        becomes: |page| page,
        effect: "nothing",
    },
    Specified {
        word: "smmu_read_event",
        needs: &[],
        may_fail: &[
            (ENOENT, "the queue is empty"),
            (ENODEV, "there is no SMMU, or it is not used"),
            (EPERM, "the host has an SMMU of its own, with a queue of its own"),
        ],
        becomes: |page| page,
        effect: "no page becomes another",
    },
];

/// The specification of `call` and the pages that it names.
#[must_use]
pub fn specified(call: Call) -> (&'static Specified, Named) {
    let (word, pfn, nr) = match call {
        Call::HostShareHyp { pfn } => (0, pfn.get(), 1),
        Call::HostUnshareHyp { pfn } => (1, pfn.get(), 1),
        Call::HypPinSharedMem { pfn, nr } => (2, pfn.get(), nr),
        Call::HypUnpinSharedMem { pfn, nr } => (3, pfn.get(), nr),
        Call::HostDonateHyp { pfn, nr } => (4, pfn.get(), nr),
        Call::HypDonateHost { pfn, nr } => (5, pfn.get(), nr),
        Call::HostDonateHypMmio { pfn, nr } => (6, pfn.get(), nr),
        Call::HypDonateHostMmio { pfn, nr } => (7, pfn.get(), nr),
        Call::SmmuReadEvent {} => (8, 0, 0),
    };
    (&CALLS[word], Named { pfn, nr })
}

#[cfg(test)]
mod tests {
    use parallax_addr::Pfn;
    use parallax_ops::rows;

    use super::*;

    #[test]
    fn every_call_finds_its_specification() {
        let pfn = Pfn::new(1);
        let calls = [
            Call::HostShareHyp { pfn },
            Call::HostUnshareHyp { pfn },
            Call::HypPinSharedMem { pfn, nr: 2 },
            Call::HypUnpinSharedMem { pfn, nr: 2 },
            Call::HostDonateHyp { pfn, nr: 2 },
            Call::HypDonateHost { pfn, nr: 2 },
            Call::HostDonateHypMmio { pfn, nr: 2 },
            Call::HypDonateHostMmio { pfn, nr: 2 },
            Call::SmmuReadEvent {},
        ];
        for (call, known) in calls.into_iter().zip(CALLS) {
            assert_eq!(specified(call).0.word, known.word);
            assert!(rows().any(|row| row.name == known.word), "{}", known.word);
        }
        assert_eq!(calls.len(), CALLS.len());
    }
}
