//! When an operation may fail for want of pages for tables: only when there are few.

use parallax_model::Snapshot;

/// Pages that are free for tables when an operation has ended; a refusal takes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free {
    /// For the host's stage 2.
    pub host: u64,
    /// For EL2's stage 1 and the SMMU's stage 2.
    pub el2: u64,
}

/// New tables on the way to one entry: below the root there are at most 3 levels.
const WAY: u64 = 3;
/// Entries of a table.
const ENTRIES: u64 = 512;

impl Free {
    /// Those of `state`; nothing where the hypervisor keeps no account of them.
    #[must_use]
    pub fn of(state: &Snapshot) -> Option<Self> {
        let pools = state.pools.as_deref()?;
        Some(Self { host: pools.first()?.free, el2: pools.get(1)?.free })
    }

    /// Whether a page of the host's may stay unmapped when the host touches it.
    pub(crate) const fn is_short_for_a_page(self) -> bool {
        self.host < WAY
    }

    /// Whether what an emulated device uses may not be pinned, before this was looked at or after.
    pub(crate) const fn may_fail_to_pin(self) -> bool {
        self.el2 < 32
    }

    /// Whether a call that names `nr` pages may find no page for a table: a table of the host's, one of EL2's and one of the SMMU's
    /// may need new tables at both ends of them, and between them one for each 2 MiB and each 1 GiB.
    pub(crate) const fn is_short_for(self, nr: u64) -> bool {
        let one = 2 * WAY + nr / ENTRIES + nr / (ENTRIES * ENTRIES);
        self.host < one || self.el2 < 2 * one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_needs_more_than_a_page() {
        let free = |host, el2| Free { host, el2 };
        assert!(free(2, 99).is_short_for_a_page() && !free(3, 0).is_short_for_a_page());
        assert!(free(5, 99).is_short_for(1) && free(99, 11).is_short_for(1) && !free(6, 12).is_short_for(1));
        assert!(free(6, 99).is_short_for(512) && !free(7, 14).is_short_for(512));
    }
}
