//! The calls of the hypervisor, one after the other.

use parallax_abi::errno::ENODEV;
use parallax_abi::errno::{ENOENT, ENOMEM, EPERM};
use parallax_ops::{Call, Kind, Operation};

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
            need::NOT_NO_MAP,
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

/// The specification of `call` and the pages that it names: from its frame on, as many as it counts. None where nothing is
/// specified.
#[must_use]
pub fn specified(call: Call) -> Option<(&'static Specified, Named)> {
    let (row, values) = Operation::Hypercall(call).spelled();
    let known = CALLS.iter().find(|known| known.word == row.name)?;
    let of =
        |kind| row.params.iter().zip(&values).find(|(param, _)| param.kind == kind).map(|(_, value)| *value);
    let named = of(Kind::Frame).map(|pfn| Named { pfn, nr: of(Kind::Count).unwrap_or(1) });
    Some((known, named.unwrap_or(Named { pfn: 0, nr: 0 })))
}

#[cfg(test)]
mod tests {
    use parallax_ops::{Form, rows};

    use super::*;

    #[test]
    fn every_call_has_its_specification() {
        let calls: Vec<&str> =
            rows().filter(|row| matches!(row.form, Form::Hypercall(_))).map(|row| row.name).collect();
        let specified: Vec<&str> = CALLS.iter().map(|call| call.word).collect();
        assert_eq!(specified, calls, "each call of the table, in its order");
    }

    #[test]
    fn the_pages_of_a_call_are_those_of_its_arguments() {
        let named = |word: &str, args: &[u64]| {
            let row = rows().find(|row| row.name == word).unwrap();
            let call = Operation::new(row, args).unwrap().call().unwrap();
            let (known, named) = specified(call).unwrap();
            assert_eq!(known.word, word);
            (named.pfn, named.nr)
        };
        assert_eq!(named("host_share_hyp", &[9]), (9, 1));
        assert_eq!(named("host_donate_hyp", &[9, 4]), (9, 4));
        assert_eq!(named("smmu_read_event", &[]), (0, 0));
    }
}
