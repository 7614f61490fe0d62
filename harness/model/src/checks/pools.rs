//! Every page of a pool is free or in use, and not both.
//!
//! A pool's own account says which pages are free; which ones are tables the walks say. What is neither is lost for good: a
//! host that can make the hypervisor lose pages ends with one that refuses all it is asked. What is both will be handed out
//! and written over while a walk still reads it.

use super::findings::Findings;
use crate::check::Space;
use crate::context::Context;
use crate::finding::Finding;
use crate::pool_state::{PoolPage, PoolState};
use crate::rule::Rule;
use crate::run;
use crate::snapshot::Snapshot;
use parallax_trace::spec::SmmuMode;

/// Judges both pools.
#[must_use]
pub fn check(snapshot: &Snapshot, context: &Context) -> Vec<Finding> {
    let mut findings = Findings::new(snapshot, context);
    // While no stream has a stage 2, and while the SMMU is closed, nothing leads to its tables, which are there all the same.
    let all_seen =
        context.smmu == SmmuMode::Off || snapshot.smmu.as_ref().is_none_or(|smmu| !smmu.tables.is_empty());
    for pool in snapshot.pools.iter().flat_map(|pools| pools.iter()) {
        if let Some(broken) = &pool.broken {
            findings.add(Rule::OwnershipPool, Space::Page, pool.span, broken);
        } else {
            if pool.counted != pool.free {
                let message = format!("it counts {} free pages and has {}", pool.counted, pool.free);
                findings.add(Rule::OwnershipPool, Space::Page, pool.span, &message);
            }
            pages(&mut findings, pool, all_seen || pool.only_tables);
        }
    }
    findings.list
}

fn pages(findings: &mut Findings<'_>, pool: &PoolState, all_seen: bool) {
    let snapshot = findings.snapshot;
    for (span, page, table) in run::overlay(&pool.pages, &snapshot.tables, pool.span) {
        match (page, table) {
            (Some(PoolPage::Free), Some(_)) => {
                let message = "a table in use is on the pool's list of free pages";
                findings.add(Rule::OwnershipPageFree, Space::Page, span, message);
            }
            (None, None) if all_seen => {
                let message = "a page of the pool is neither free nor in use";
                findings.add(Rule::OwnershipPageLost, Space::Page, span, message);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parallax_addr::{PAGE_SIZE, PhysAddr, Span};

    use super::*;
    use crate::run::Run;
    use crate::snapshot::TableUse;
    use crate::testing::{clean, context};

    const BASE: PhysAddr = PhysAddr::new(0x4100_0000);

    /// Pages `first` to before `end` of the pool.
    fn pages_of(first: u64, end: u64) -> Span<PhysAddr> {
        Span::new(BASE.wrapping_add(first * PAGE_SIZE), (end - first) * PAGE_SIZE)
    }

    /// The rules that are broken where page 0 of four is a table, page 1 is set aside, and `free` are free.
    fn found(free: Span<PhysAddr>, change: impl FnOnce(&mut Snapshot, &mut PoolState)) -> Vec<Rule> {
        let mut state = clean();
        let in_use = TableUse { el2: true, ..TableUse::default() };
        state.tables = vec![Run::new(pages_of(0, 1), in_use)].into();
        let mut known = vec![Run::new(pages_of(1, 2), PoolPage::SetAside)];
        run::replace(&mut known, free, &[Run::new(free, PoolPage::Free)]);
        let count = free.size / PAGE_SIZE;
        let mut pool = PoolState {
            span: pages_of(0, 4),
            pages: known.into(),
            counted: count,
            free: count,
            broken: None,
            only_tables: false,
        };
        change(&mut state, &mut pool);
        state.pools = Some(Arc::from([pool]));
        check(&state, &context()).into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn each_page_is_free_or_in_use_and_not_both() {
        let as_it_is = |_: &mut Snapshot, _: &mut PoolState| ();
        assert_eq!(found(pages_of(2, 4), as_it_is), []);
        assert_eq!(found(pages_of(3, 4), as_it_is), [Rule::OwnershipPageLost]);
        let known = |pool: &mut PoolState| {
            pool.pages = vec![Run::new(pages_of(0, 4), PoolPage::Free)].into();
            (pool.counted, pool.free) = (4, 4);
        };
        assert_eq!(found(pages_of(2, 4), |_, pool| known(pool)), [Rule::OwnershipPageFree]);
    }

    #[test]
    fn the_pools_own_account_is_held_against_what_it_has() {
        assert_eq!(found(pages_of(2, 4), |_, pool| pool.counted = 3), [Rule::OwnershipPool]);
        // Of a list that leads nowhere nobody knows what is free.
        let broken = |_: &mut Snapshot, pool: &mut PoolState| pool.broken = Some("a loop".to_owned());
        assert_eq!(found(pages_of(3, 4), broken), [Rule::OwnershipPool]);
    }

    #[test]
    fn what_no_stream_leads_to_is_not_lost() {
        let hidden =
            |state: &mut Snapshot| state.smmu.as_mut().into_iter().for_each(|smmu| smmu.tables.clear());
        assert_eq!(found(pages_of(3, 4), |state, _| hidden(state)), []);
        let tables = |state: &mut Snapshot, pool: &mut PoolState| {
            hidden(state);
            pool.only_tables = true;
        };
        assert_eq!(found(pages_of(3, 4), tables), [Rule::OwnershipPageLost]);
    }
}
