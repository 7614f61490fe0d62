//! The page pools, read from the hypervisor's own account of them ([`parallax_abi::pool::Pool`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use parallax_abi::pool::Pool;
use parallax_addr::{PAGE_SIZE, PhysAddr, Span};
use parallax_vmsa::PhysMem;
use zerocopy::IntoBytes;

use crate::pool_state::{PoolPage, PoolState};
use crate::run::{self, Run};
use crate::runs::Runs;
use crate::snapshot::TableUse;

/// Most pages of a pool that are believed: 16 GiB.
const MOST: u64 = 1 << 22;

/// What was last seen of each pool.
#[derive(Debug, Default)]
pub(super) struct PoolsCache {
    accounts: Vec<Pool>,
    /// Pages that are neither free nor tables, as the first look found them, of each pool.
    set_aside: Option<Vec<Vec<Span<PhysAddr>>>>,
    tables: Runs<PhysAddr, TableUse>,
    state: Option<Arc<[PoolState]>>,
}

impl PoolsCache {
    /// The pools whose accounts stand at the physical addresses `at`, the first of which is for tables alone, beside `tables`,
    /// the pages that are read as tables. Absent where the hypervisor does not tell of any.
    pub(super) fn capture(
        &mut self,
        mem: &dyn PhysMem,
        at: &[u64],
        tables: &Runs<PhysAddr, TableUse>,
        faults: &mut Vec<String>,
    ) -> Option<Arc<[PoolState]>> {
        if at.contains(&0) {
            return None;
        }
        let mut accounts = Vec::with_capacity(at.len());
        for address in at {
            let mut pool = Pool::default();
            if let Err(error) = mem.read(PhysAddr::new(*address), pool.as_mut_bytes()) {
                faults.push(format!("a page pool's account cannot be read: {error}"));
                return None;
            }
            if pool.size / PAGE_SIZE > MOST {
                faults.push(format!("a page pool claims {:#x} bytes", pool.size));
                return None;
            }
            accounts.push(pool);
        }
        if self.state.is_some() && self.accounts == accounts && self.tables == *tables {
            return self.state.clone();
        }
        let lists: Vec<_> = accounts.iter().map(|pool| free_pages(mem, pool)).collect();
        let parts = accounts.iter().zip(&lists).enumerate();
        let aside = match &self.set_aside {
            None => parts.map(|(index, (pool, list))| first_look(index, pool, &list.0, tables)).collect(),
            Some(known) => known.iter().map(|spans| without_tables(spans, tables)).collect::<Vec<_>>(),
        };
        let states = accounts.iter().zip(lists).zip(&aside).enumerate();
        let states = states.map(|(index, ((pool, (free, broken)), aside))| {
            let found = free.iter().map(|run| run.size / PAGE_SIZE).sum();
            PoolState {
                span: span_of(pool),
                pages: merged(&free, aside).into(),
                counted: pool.free,
                free: found,
                broken,
                only_tables: index == 0,
            }
        });
        self.state = Some(states.collect());
        (self.accounts, self.tables, self.set_aside) = (accounts, tables.clone(), Some(aside));
        self.state.clone()
    }
}

const fn span_of(pool: &Pool) -> Span<PhysAddr> {
    Span::new(PhysAddr::new(pool.base), pool.size)
}

/// The free pages of `pool`, in order, and what is wrong with its list.
fn free_pages(mem: &dyn PhysMem, pool: &Pool) -> (Vec<Run<PhysAddr, PoolPage>>, Option<String>) {
    let span = span_of(pool);
    let next = PhysAddr::new(pool.next);
    let mut listed = BTreeSet::new();
    let mut broken = None;
    let mut page = PhysAddr::new(pool.freed);
    while page.get() != 0 {
        let fresh = page >= next;
        if !span.contains(page) || page.offset() != 0 || fresh {
            broken = Some(format!(
                "its list of free pages leads to {page}, which is no page that it has handed out"
            ));
            break;
        }
        if !listed.insert(page) {
            broken = Some(format!("its list of free pages comes to {page} twice"));
            break;
        }
        let mut word = [0; 8];
        if let Err(error) = mem.read(page, &mut word) {
            broken = Some(format!("its list of free pages cannot be read: {error}"));
            break;
        }
        page = PhysAddr::new(u64::from_le_bytes(word));
    }
    if !(span.base <= next && next <= span.end()) {
        broken = Some(format!("its first fresh page, {next}, is none of its pages"));
    }
    let fresh = Span::between(next, span.end()).intersect(span);
    let mut free = Vec::new();
    for span in listed.into_iter().map(|page| Span::new(page, PAGE_SIZE)).chain(fresh) {
        run::push(&mut free, Run::new(span, PoolPage::Free));
    }
    (free, broken)
}

/// What is neither free nor a table in a pool that has more than tables.
fn first_look(
    index: usize,
    pool: &Pool,
    free: &[Run<PhysAddr, PoolPage>],
    tables: &[Run<PhysAddr, TableUse>],
) -> Vec<Span<PhysAddr>> {
    if index == 0 {
        return Vec::new();
    }
    let parts = run::overlay(free, tables, span_of(pool));
    parts.filter(|(_, free, table)| free.is_none() && table.is_none()).map(|(span, ..)| span).collect()
}

/// What of `spans` is no table.
fn without_tables(spans: &[Span<PhysAddr>], tables: &[Run<PhysAddr, TableUse>]) -> Vec<Span<PhysAddr>> {
    let parts = spans.iter().flat_map(|span| run::overlay::<_, _, ()>(tables, &[], *span));
    parts.filter(|(_, table, _)| table.is_none()).map(|(span, ..)| span).collect()
}

/// Free pages, and between them those that are set aside. One that is both is free.
fn merged(free: &[Run<PhysAddr, PoolPage>], aside: &[Span<PhysAddr>]) -> Vec<Run<PhysAddr, PoolPage>> {
    let mut runs = Vec::with_capacity(free.len() + aside.len());
    aside.iter().for_each(|span| run::push(&mut runs, Run::new(*span, PoolPage::SetAside)));
    free.iter().for_each(|run| run::replace(&mut runs, run.span(), std::slice::from_ref(run)));
    runs
}
