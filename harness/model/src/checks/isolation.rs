//! Check 2: the hypervisor is out of the host's reach.
//!
//! Its image and pool, every page that a walk read as a table, the SMMU's stream table, queues and register frame: no
//! host-reachable mapping leads there, neither the CPU's nor any stream's. A zero entry of the host's table counts as
//! reachable, because the next fault would map it. The SMMU is closed, and EL2 itself maps nothing both writable and
//! executable.

use parallax_addr::{Ipa, PhysAddr, Span};
use parallax_smmu::Config;
use parallax_trace::spec::SmmuMode;

use super::control;
use super::findings::Findings;
use crate::check::Space;

use crate::context::Context;
use crate::finding::Finding;
use crate::leaf::{OWNER_HYP, S1Entry, S2Entry};
use crate::page::Ownership;
use crate::rule::Rule;
use crate::run::{self, Run};
use crate::smmu_state::SmmuState;
use crate::snapshot::{Snapshot, TableUse};

/// Judges every root: CPU stage 2, each stream's table, EL2's stage 1.
#[must_use]
pub fn check(snapshot: &Snapshot, context: &Context) -> Vec<Finding> {
    let mut findings = Findings::new(snapshot, context);
    let secret = secret(snapshot, context);
    if !snapshot.control().stage2_enabled {
        findings.add_of_registers(Rule::IsolationOpen, "the host's stage 2 is off: it reaches everything");
    }
    reachable(&mut findings, Space::Cpu, snapshot.host(), &secret);
    unclaimed(&mut findings, &secret);
    if let Some(smmu) = context.used_smmu(snapshot) {
        if context.smmu == SmmuMode::Shadow {
            for table in &smmu.tables {
                reachable(&mut findings, Space::Smmu, &table.entries, &secret);
            }
        }
        gate(&mut findings, smmu, context.emulated);
        messages(&mut findings, smmu, &secret);
        if context.emulated {
            events(&mut findings, smmu);
        }
        streams(&mut findings, smmu);
    } else if context.smmu != SmmuMode::Off {
        findings
            .add_of_registers(Rule::IsolationOpen, "the hypervisor does not have the SMMU that it is to use");
    }
    el2(&mut findings);
    snapshot.cpus.iter().for_each(|cpu| control::vectors(&mut findings, cpu));
    findings.list
}

/// What holds of any hypervisor: no page that a walk reads as a table is in a mapping that the host's CPUs or devices reach. Without a
/// stream that has a stage 2 the SMMU is the host's, and so is its stream table.
#[must_use]
pub fn check_tables(snapshot: &Snapshot, context: &Context) -> Vec<Finding> {
    let mut findings = Findings::new(snapshot, context);
    let smmu = snapshot.smmu.as_ref().is_some_and(|smmu| !smmu.tables.is_empty());
    let own = snapshot
        .tables
        .iter()
        .filter(|run| TableUse { strtab: smmu && run.value.strtab, ..run.value } != TableUse::default());
    let tables: Vec<Span<PhysAddr>> = own.map(Run::span).collect();
    reachable(&mut findings, Space::Cpu, snapshot.host(), &tables);
    for table in snapshot.smmu.iter().flat_map(|smmu| &smmu.tables) {
        reachable(&mut findings, Space::Smmu, &table.entries, &tables);
    }
    findings.list
}

/// Whether anything that is judged hangs on the page states of `snapshot`.
pub(super) fn reads_pages(snapshot: &Snapshot, context: &Context) -> bool {
    let control = snapshot.smmu.as_ref().map(|smmu| &smmu.control);
    control.is_some_and(|control| context.emulated && control.evtq_enabled || control.msi != [0; 2])
}

/// What nobody but the hypervisor may reach, ascending and disjoint.
fn secret(snapshot: &Snapshot, context: &Context) -> Vec<Span<PhysAddr>> {
    let layout = &snapshot.layout;
    let mut spans: Vec<Span<PhysAddr>> = layout.own().collect();
    spans.extend(snapshot.tables.iter().map(Run::span));
    if context.smmu != SmmuMode::Off {
        spans.extend([layout.smmu, layout.cmdq, layout.evtq]);
    }
    spans.retain(|span| !span.is_empty());
    spans.sort_unstable();
    let mut disjoint: Vec<Span<PhysAddr>> = Vec::with_capacity(spans.len());
    for span in spans {
        match disjoint.last_mut() {
            Some(last) if span.base < last.end() => {
                *last = Span::between(last.base, last.end().max(span.end()))
            }
            _ => disjoint.push(span),
        }
    }
    disjoint
}

/// Mappings of `entries` that lead to a secret, by output address.
fn reachable(
    findings: &mut Findings<'_>,
    space: Space,
    entries: &[Run<Ipa, S2Entry>],
    secret: &[Span<PhysAddr>],
) {
    let who = if space == Space::Cpu { "the host" } else { "a device" };
    for run in entries {
        let Some(leaf) = run.value.leaf() else { continue };
        let output = leaf.outputs(run.span());
        let first = secret.partition_point(|span| span.end() <= output.base);
        for part in secret[first..].iter().map_while(|span| span.intersect(output)) {
            if findings.is_readable_code(leaf, part) {
                continue;
            }
            let at = leaf.inputs(part);
            findings.add(
                Rule::IsolationReachable,
                space,
                at,
                &format!("{who} reaches memory of the hypervisor"),
            );
        }
    }
}

/// Secrets whose entry in the host's table does not keep the host from getting them by a fault.
fn unclaimed(findings: &mut Findings<'_>, secret: &[Span<PhysAddr>]) {
    let snapshot = findings.snapshot;
    for &span in secret {
        for (part, entry, _) in run::overlay::<_, _, ()>(snapshot.host(), &[], span.cast()) {
            match entry {
                Some(entry @ S2Entry::Annotated { .. }) if entry.is_donated_to(OWNER_HYP) => {}
                Some(S2Entry::Annotated { .. }) => {
                    findings.add(
                        Rule::IsolationUnclaimed,
                        Space::Cpu,
                        part,
                        "the entry gives memory of the hypervisor to another",
                    );
                }
                None => findings.add(
                    Rule::IsolationUnclaimed,
                    Space::Cpu,
                    part,
                    "the host's next access would map it",
                ),
                Some(S2Entry::Mapped(_) | S2Entry::Malformed { .. }) => {}
            }
        }
    }
}

/// The SMMU lets nothing past it, and takes the hypervisor's commands. Errors of another kind are those of a host with
/// an SMMU of its own, to acknowledge or not.
fn gate(findings: &mut Findings<'_>, smmu: &SmmuState, emulated: bool) {
    const CMDQ_ERR: u32 = 1 << 0;
    let control = &smmu.control;
    let gerror = control.gerror & if emulated { CMDQ_ERR } else { u32::MAX };
    if !control.enabled && !control.gbpa_abort {
        findings.add_of_registers(
            Rule::IsolationOpen,
            "SMMUEN=0 and GBPA.ABORT=0: every device reaches everything",
        );
    }
    if control.enabled && (gerror != 0 || control.cmdq_error != 0) {
        findings
            .add_of_registers(Rule::IsolationSmmuError, "the SMMU reports an error that nobody has answered");
    }
}

/// The SMMU writes its own MSIs past all translation: none goes to the hypervisor.
fn messages(findings: &mut Findings<'_>, smmu: &SmmuState, secret: &[Span<PhysAddr>]) {
    for address in smmu.control.msi.into_iter().filter(|&address| address != 0) {
        let word = Span::new(PhysAddr::new(address), 4);
        let page = run::find(findings.snapshot.pages(), word.base).map(|run| run.value);
        let taken = page.is_some_and(|page| page.host == Ownership::NoPage);
        if taken || secret.iter().any(|span| span.intersect(word).is_some()) {
            findings.add(
                Rule::IsolationMsi,
                Space::Page,
                word,
                "the SMMU writes its interrupts to memory that is not the host's",
            );
        }
    }
}

/// The event queue of a host with an SMMU of its own: the hardware writes to it past all translation, so its pages
/// must be the host's, and stay so while the queue is on.
fn events(findings: &mut Findings<'_>, smmu: &SmmuState) {
    const RECORD: u64 = 32;
    if !smmu.control.evtq_enabled {
        return;
    }
    let queue = smmu.control.evtq;
    let size = RECORD << u32::from(queue.log2size).min(19);
    let Some(pages) = Span::new(queue.base, size).whole_pages() else { return };
    let snapshot = findings.snapshot;
    let wrong = run::overlay::<_, _, ()>(snapshot.pages(), &[], pages).filter_map(|(span, page, _)| {
        let lent = page.is_some_and(|page| page.host == Ownership::SharedOwned && page.refcount > 0);
        (!lent).then_some(span)
    });
    findings.add_once(
        Rule::IsolationEventQueue,
        Space::Page,
        wrong,
        "the SMMU writes events to memory that the host has not lent and that is not pinned",
    );
}

/// Every valid STE leaves the hypervisor in charge.
fn streams(findings: &mut Findings<'_>, smmu: &SmmuState) {
    for run in &smmu.streams {
        let (span, stream) = (run.span(), &run.value);
        if !stream.illegal.is_empty() {
            findings.add(Rule::IsolationSte, Space::Ste, span, "the STE is illegal");
        }
        if matches!(stream.config(), Config::Bypass | Config::Stage1) {
            findings.add(
                Rule::IsolationSteBypass,
                Space::Ste,
                span,
                "stage 2 does not translate: the device reaches everything",
            );
        }
        if !stream.config().stage2() {
            continue;
        }
        let ste = stream.ste();
        for (wrong, message) in [
            (!ste.s2aa64(), "S2AA64=0: the SMMU would read the table in another format"),
            (ste.s2vmid() != 0, "S2VMID is not the host's 0: invalidations miss this stream"),
            (!ste.s2r(), "S2R=0: faults leave no record"),
            (ste.s2s(), "S2S=1: a fault stalls the device"),
            (ste.s2affd(), "S2AFFD=1: the access flag is ignored"),
            (ste.mtcfg(), "MTCFG=1: the device's own memory type is lost"),
            (ste.shcfg() != 0b01, "SHCFG is not \"incoming\": the device's own shareability is lost"),
            (ste.privcfg() != 0, "PRIVCFG overrides the device's own privilege"),
            (
                ste.instcfg() != 0,
                "INSTCFG makes instruction fetches of the device's reads, or reads of its fetches",
            ),
            (
                stream.config().stage1() && !ste.s2ptw(),
                "S2PTW=0: the host's stage 1 may be walked in a device's registers",
            ),
        ] {
            if wrong {
                findings.add(Rule::IsolationSte, Space::Ste, span, message);
            }
        }
    }
}

/// EL2's own stage 1: write or execute, never both; nothing malformed.
fn el2(findings: &mut Findings<'_>) {
    let snapshot = findings.snapshot;
    if !snapshot.control().el2_enabled {
        findings.add_of_registers(Rule::IsolationEl2Off, "EL2's stage 1 is off");
    }
    for run in snapshot.el2() {
        if let S1Entry::Mapped(leaf) = run.value
            && leaf.write
            && leaf.exec
        {
            findings.add(
                Rule::IsolationWritableCode,
                Space::El2,
                run.span(),
                "EL2 may both write and execute",
            );
        }
    }
    aliases(findings);
}

/// What EL2 executes is writable through no other mapping.
fn aliases(findings: &mut Findings<'_>) {
    let snapshot = findings.snapshot;
    let code: Vec<Span<PhysAddr>> = outputs(snapshot, |leaf| leaf.exec);
    for run in snapshot.el2() {
        let Some(leaf) = run.value.leaf().filter(|leaf| leaf.write && !leaf.exec) else { continue };
        let output = leaf.outputs(run.span());
        for part in code.iter().filter_map(|span| span.intersect(output)) {
            let at = leaf.inputs(part);
            findings.add(
                Rule::IsolationWritableCode,
                Space::El2,
                at,
                "EL2 may write here what it executes elsewhere",
            );
        }
    }
}

fn outputs(snapshot: &Snapshot, wanted: impl Fn(&crate::leaf::S1Leaf) -> bool) -> Vec<Span<PhysAddr>> {
    let leaves = snapshot.el2().iter().filter_map(|run| run.value.leaf().map(|leaf| (run, leaf)));
    leaves.filter(|(_, leaf)| wanted(leaf)).map(|(run, leaf)| leaf.outputs(run.span())).collect()
}
