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
    // While no stream has a stage 2, nothing leads to the SMMU's table, which is there all the same.
    let all_seen =
        context.smmu != SmmuMode::Shadow || snapshot.smmu.as_ref().is_none_or(|smmu| !smmu.tables.is_empty());
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
