//! The checks of one state after another.
//!
//! A check that found nothing finds nothing as long as what it reads is the same. What it reads stands beside it in
//! [`ALL`], and what two states share is found to be the same at once ([`crate::Runs`]).

use super::{coherence, control, isolation, ownership, placement, pools, reach, sanity, sync};
use crate::context::Context;
use crate::finding::Finding;
use crate::snapshot::Snapshot;

/// A check, and whether all that it reads is the same in two states.
struct Known {
    check: fn(&Snapshot, &Context) -> Vec<Finding>,
    same: fn(&Snapshot, &Snapshot, &Context) -> bool,
}

/// All checks, in the order of their findings.
const ALL: [Known; 9] = [
    Known {
        check: sync::check,
        same: |old, new, _| same_cpus(old, new) && old.smmu == new.smmu && same_host(old, new),
    },
    Known {
        check: isolation::check,
        same: |old, new, context| {
            let pages = !isolation::reads_pages(new, context) || old.pages == new.pages;
            let roots = same_cpus(old, new) && old.layout == new.layout && old.tables == new.tables;
            pages && roots && old.smmu == new.smmu && same_host(old, new) && same_el2(old, new)
        },
    },
    Known { check: control::check, same: |old, new, _| same_cpus(old, new) },
    Known {
        check: ownership::check,
        same: |old, new, _| {
            let guests = old.guests == new.guests && old.guest_spaces().eq(new.guest_spaces());
            let own = old.layout == new.layout && same_host(old, new) && same_el2(old, new);
            guests && own && old.pages == new.pages
        },
    },
    Known {
        check: pools::check,
        same: |old, new, _| old.pools == new.pools && old.tables == new.tables && old.smmu == new.smmu,
    },
    Known {
        check: reach::check,
        same: |old, new, _| {
            let pages = !reach::reads_pages(new) || old.pages == new.pages;
            let masters = old.smmu == new.smmu && old.gic == new.gic;
            pages && masters && old.layout == new.layout && old.tables == new.tables && same_host(old, new)
        },
    },
    Known {
        check: sanity::check,
        same: |old, new, _| {
            old.faults == new.faults && old.smmu == new.smmu && same_host(old, new) && same_el2(old, new)
        },
    },
    Known {
        check: placement::check,
        same: |old, new, _| same_cpus(old, new) && old.layout == new.layout && old.smmu == new.smmu,
    },
    Known {
        check: coherence::check,
        same: |old, new, _| {
            let walked = old.tables == new.tables && old.layout == new.layout && old.smmu == new.smmu;
            walked && same_cpus(old, new) && same_el2(old, new)
        },
    },
];

fn same_cpus(old: &Snapshot, new: &Snapshot) -> bool {
    old.cpus == new.cpus
}

fn same_host(old: &Snapshot, new: &Snapshot) -> bool {
    old.host_runs() == new.host_runs()
}

fn same_el2(old: &Snapshot, new: &Snapshot) -> bool {
    old.el2_runs() == new.el2_runs()
}

/// What must hold in every state: the relation of the tables to each other, the reach of masters, and the sanity of
/// mappings and of bases.
#[must_use]
pub fn check(snapshot: &Snapshot, context: &Context) -> Vec<Finding> {
    ALL.iter().flat_map(|known| (known.check)(snapshot, context)).collect()
}

/// [`check`] for one state after another of one machine.
#[derive(Debug, Default)]
pub struct Checks {
    /// Whether each of [`ALL`] found nothing in the state before.
    silent: [bool; ALL.len()],
}

impl Checks {
    /// What [`check`] says of `snapshot`. `before` is the state that was judged before it; there is none at first.
    pub fn check(
        &mut self,
        before: Option<&Snapshot>,
        snapshot: &Snapshot,
        context: &Context,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (known, silent) in ALL.iter().zip(&mut self.silent) {
            if *silent && before.is_some_and(|before| (known.same)(before, snapshot, context)) {
                continue;
            }
            let found = (known.check)(snapshot, context);
            *silent = found.is_empty();
            findings.extend(found);
        }
        findings
    }
}
