//! Every master reaches what it may reach.
//!
//! The tables judge what goes through them; this looks at what does not: physical addresses that masters were given. What
//! the hypervisor uses itself must lie in its own memory, and nothing else may lie there with it. What the host uses must be
//! memory that the host has lent and that is pinned, so that it can be given to nobody else. Registers through which a master
//! is given such addresses must not be the host's.

use parallax_addr::{PhysAddr, Span};
use parallax_gic::TableKind;

use super::findings::Findings;
use crate::check::Space;
use crate::context::Context;
use crate::finding::Finding;
use crate::gic_state::{GicState, ItsState};
use crate::leaf::{OWNER_HYP, S2Entry};
use crate::page::Ownership;
use crate::rule::Rule;
use crate::run;
use crate::snapshot::{Snapshot, TableUse};

/// Bytes of a command of the SMMU.
const SMMU_COMMAND: u64 = 16;
/// Bytes of a record of its event queue.
const SMMU_EVENT: u64 = 32;

/// Memory of the hypervisor that a master uses.
struct Own {
    rule: Rule,
    span: Span<PhysAddr>,
    what: &'static str,
}

/// Judges every physical address that a master has.
#[must_use]
pub fn check(snapshot: &Snapshot, context: &Context) -> Vec<Finding> {
    let mut findings = Findings::new(snapshot, context);
    let owned = owned(snapshot, context);
    for (index, own) in owned.iter().enumerate() {
        own_memory(&mut findings, own, &owned[..index]);
    }
    if let Some(gic) = &snapshot.gic {
        of_the_host(&mut findings, gic);
    }
    for frame in frames(snapshot, context) {
        held(&mut findings, frame);
    }
    findings.list
}

/// Whether anything that is judged hangs on the page states of `snapshot`: the GIC has memory of the host.
pub(super) fn reads_pages(snapshot: &Snapshot) -> bool {
    let Some(gic) = &snapshot.gic else { return false };
    gic.its.iter().any(|its| !its.devices.is_empty())
        || gic.redistributors.iter().any(|redistributor| redistributor.in_use)
}

/// What masters have of the hypervisor's memory, as far as the hypervisor uses them.
fn owned(snapshot: &Snapshot, context: &Context) -> Vec<Own> {
    let mut all = Vec::new();
    if let Some(smmu) = context.used_smmu(snapshot) {
        let control = &smmu.control;
        for run in snapshot.tables.iter().filter(|run| run.value.strtab) {
            all.push(Own { rule: Rule::ReachSmmuTable, span: run.span(), what: "the SMMU's stream table" });
        }
        let mut queue = |on: bool, queue: crate::smmu_state::Queue, bytes: u64, what| {
            let span = Span::new(queue.base, bytes << u32::from(queue.log2size).min(19));
            all.extend(on.then_some(Own { rule: Rule::ReachSmmuQueue, span, what }));
        };
        queue(control.cmdq_enabled, control.cmdq, SMMU_COMMAND, "the SMMU's command queue");
        // That of a host with an SMMU of its own is isolation/event-queue's.
        let events = control.evtq_enabled && !context.emulated;
        queue(events, control.evtq, SMMU_EVENT, "the SMMU's event queue");
    }
    if let Some(its) = snapshot.gic.as_ref().and_then(|gic| gic.its.as_ref()) {
        all.extend(its.queue.map(|span| Own {
            rule: Rule::ReachItsQueue,
            span,
            what: "the ITS's command queue",
        }));
        all.extend(its.tables.iter().flat_map(tables_of));
    }
    all
}

fn tables_of(table: &crate::gic_state::ItsTable) -> impl Iterator<Item = Own> {
    let what = match table.kind {
        TableKind::Devices => "the ITS's device table",
        TableKind::Collections => "the ITS's collection table",
        TableKind::Other(_) => "a table of the ITS",
    };
    let spans = std::iter::once(table.first).chain(table.second.iter().copied());
    spans.map(move |span| Own { rule: Rule::ReachItsTable, span, what })
}

/// `own` lies in the hypervisor's memory, and neither in a table that translates nor with one of `others`.
fn own_memory(findings: &mut Findings<'_>, own: &Own, others: &[Own]) {
    let Own { rule, span, what } = *own;
    let snapshot = findings.snapshot;
    let within = |of: Span<PhysAddr>| of.intersect(span) == Some(span);
    if !within(snapshot.layout.pool) && !within(snapshot.layout.image) {
        let message = format!("{what} is not in the hypervisor's memory");
        return findings.add(rule, Space::Page, span, &message);
    }
    let translates = |user: &TableUse| user.cpu || user.el2 || user.smmu || user.guest;
    let tables = snapshot.tables.iter().filter(|run| translates(&run.value));
    let parts = tables.filter_map(|run| run.span().intersect(span));
    findings.add_once(rule, Space::Page, parts, &format!("{what} lies over a table that translates"));
    for other in others {
        if let Some(part) = other.span.intersect(span) {
            findings.add(rule, Space::Page, part, &format!("{what} lies over {}", other.what));
        }
    }
}

/// What the GIC has of the host's memory.
fn of_the_host(findings: &mut Findings<'_>, gic: &GicState) {
    for device in gic.its.iter().flat_map(|its| &its.devices) {
        lent(findings, Rule::ReachItt, device.itt, "an ITT");
    }
    for redistributor in gic.redistributors.iter().filter(|redistributor| redistributor.in_use) {
        lent(
            findings,
            Rule::ReachLpiTable,
            redistributor.configuration,
            "the configuration table of a redistributor",
        );
        lent(findings, Rule::ReachLpiTable, redistributor.pending, "the pending table of a redistributor");
    }
}

/// Every page of `span` is memory that the host has lent to the hypervisor, and pinned.
fn lent(findings: &mut Findings<'_>, rule: Rule, span: Span<PhysAddr>, what: &str) {
    let Some(pages) = span.whole_pages() else { return };
    let snapshot = findings.snapshot;
    let wrong = run::overlay::<_, _, ()>(snapshot.pages(), &[], pages).filter_map(|(part, page, _)| {
        let lent = page.is_some_and(|page| page.host == Ownership::SharedOwned && page.refcount > 0);
        (!lent).then_some(part)
    });
    let message = format!("{what} is in memory that the host has not lent, or that is not pinned");
    findings.add_once(rule, Space::Page, wrong, &message);
}

/// Registers through which masters are given physical addresses.
fn frames(snapshot: &Snapshot, context: &Context) -> Vec<Span<PhysAddr>> {
    let mut frames = context.masters.clone();
    if let Some(gic) = &snapshot.gic {
        frames.extend(gic.its.as_ref().map(|ItsState { frame, .. }| *frame));
        frames.extend(gic.redistributors.iter().map(|redistributor| redistributor.frame));
    }
    frames
}

/// The host's table keeps `frame` from the host.
fn held(findings: &mut Findings<'_>, frame: Span<PhysAddr>) {
    let snapshot = findings.snapshot;
    for (part, entry, _) in run::overlay::<_, _, ()>(snapshot.host(), &[], frame.cast()) {
        let message = match entry {
            Some(entry @ S2Entry::Annotated { .. }) if entry.is_donated_to(OWNER_HYP) => continue,
            None => "the host's next access would map a master that nothing holds",
            _ => "the host has a master that nothing holds",
        };
        findings.add(Rule::ReachUnheld, Space::Cpu, part, message);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::gic_state::{ItsDevice, ItsTable, RedistributorState};
    use crate::page::PageState;
    use crate::testing::*;

    const FRAME: Span<PhysAddr> = Span::new(PhysAddr::new(0x808_0000), 0x1_0000);
    const LENT: Span<PhysAddr> = Span::new(PhysAddr::new(PAGE.base), PAGE.size);

    /// A page of the pool.
    fn pool(page: u64) -> Span<PhysAddr> {
        Span::new(PhysAddr::new(POOL.base + 0x1_0000 + page * 0x1000), 0x1000)
    }

    /// A clean machine whose ITS has a queue, both tables and a device, and whose redistributor has LPIs.
    fn with_gic() -> Snapshot {
        let mut state = clean();
        set(pages_mut(&mut state), PAGE, Some(PageState { refcount: 1, ..SHARED_PAGE }));
        set(host_mut(&mut state), FRAME.cast(), Some(HYP));
        let table = |index, kind, first| ItsTable { index, kind, first, second: Vec::new() };
        state.gic = Some(Arc::new(GicState {
            its: Some(ItsState {
                incoherent: Vec::new(),
                enabled: true,
                frame: Span::new(FRAME.base, 0x8000),
                queue: Some(pool(0)),
                next_command: 0,
                tables: vec![
                    table(0, TableKind::Devices, pool(1)),
                    table(1, TableKind::Collections, pool(2)),
                ],
                devices: vec![ItsDevice { id: 8, events: 32, itt: Span::new(LENT.base, 384) }],
                collections: Vec::new(),
                events: Vec::new(),
            }),
            redistributors: vec![RedistributorState {
                frame: Span::new(PhysAddr::new(0x808_8000), 0x1000),
                in_use: true,
                configuration: LENT,
                pending: LENT,
            }],
        }));
        state
    }

    fn found(state: &Snapshot, context: &Context) -> Vec<(Rule, u64)> {
        let findings = check(state, context);
        let mut checks = crate::Checks::default();
        checks.check(None, &with_gic(), context);
        let again = checks.check(Some(&with_gic()), state, context);
        assert_eq!(again, crate::check(state, context), "what was silent would have said nothing");
        findings.iter().map(|finding| (finding.rule, finding.span.base)).collect()
    }

    /// What is found after `plant` has changed the state.
    fn planted(plant: impl FnOnce(&mut Snapshot)) -> Vec<(Rule, u64)> {
        let mut state = with_gic();
        plant(&mut state);
        found(&state, &context())
    }

    fn gic(state: &mut Snapshot) -> &mut GicState {
        Arc::make_mut(state.gic.as_mut().unwrap())
    }

    fn its(state: &mut Snapshot) -> &mut ItsState {
        gic(state).its.as_mut().unwrap()
    }

    #[test]
    fn nothing_is_found_where_all_is_right() {
        assert_eq!(found(&clean(), &context()), []);
        assert_eq!(planted(|_| ()), []);
    }

    #[test]
    fn what_the_hypervisor_uses_must_be_its_own() {
        let outside = planted(|state| its(state).queue = Some(LENT));
        assert_eq!(outside, [(Rule::ReachItsQueue, PAGE.base)]);
        let second = planted(|state| its(state).tables[0].second = vec![LENT]);
        assert_eq!(second, [(Rule::ReachItsTable, PAGE.base)]);
        let cmdq = planted(|state| state.smmu.as_mut().unwrap().control.cmdq.base = LENT.base);
        assert_eq!(cmdq, [(Rule::ReachSmmuQueue, PAGE.base)]);
        let strtab = planted(|state| {
            state
                .tables
                .make_mut()
                .push(run::Run::new(LENT, TableUse { strtab: true, ..TableUse::default() }));
        });
        assert_eq!(strtab, [(Rule::ReachSmmuTable, PAGE.base)]);
    }

    #[test]
    fn what_the_hypervisor_uses_must_be_used_for_nothing_else() {
        let root = clean().tables[0].base;
        let over_a_table = planted(|state| its(state).tables[0].first = Span::new(root, 0x1000));
        assert_eq!(over_a_table, [(Rule::ReachItsTable, root.get())]);
        let over_each_other = planted(|state| its(state).tables[1].first = pool(1));
        assert_eq!(over_each_other, [(Rule::ReachItsTable, pool(1).base.get())]);
    }

    #[test]
    fn what_the_host_uses_must_be_lent_and_pinned() {
        let unpinned = planted(|state| set(pages_mut(state), PAGE, Some(SHARED_PAGE)));
        assert_eq!(
            unpinned,
            [(Rule::ReachItt, PAGE.base), (Rule::ReachLpiTable, PAGE.base), (Rule::ReachLpiTable, PAGE.base)]
        );
        let itt = planted(|state| its(state).devices[0].itt.base = pool(5).base);
        assert_eq!(itt, [(Rule::ReachItt, pool(5).base.get())]);
        let off = planted(|state| {
            let redistributor = &mut gic(state).redistributors[0];
            (redistributor.in_use, redistributor.pending) = (false, pool(5));
        });
        assert_eq!(off, []);
    }

    #[test]
    fn no_master_is_the_hosts() {
        let unmapped = planted(|state| set(host_mut(state), FRAME.cast(), None));
        assert_eq!(unmapped, [(Rule::ReachUnheld, 0x808_0000)], "neighbours are one finding");
        let fw_cfg = Span::new(PhysAddr::new(0x902_0000), 0x1000);
        let context = Context { masters: vec![fw_cfg], ..context() };
        let mut state = with_gic();
        assert_eq!(found(&state, &context), [(Rule::ReachUnheld, 0x902_0000)]);
        set(host_mut(&mut state), fw_cfg.cast(), Some(S2Entry::Mapped(MMIO)));
        assert_eq!(found(&state, &context), [(Rule::ReachUnheld, 0x902_0000)]);
        set(host_mut(&mut state), fw_cfg.cast(), Some(HYP));
        assert_eq!(found(&state, &context), []);
    }
}
