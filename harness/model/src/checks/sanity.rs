//! Every mapping of the host is of the kind that its address must have.
//!
//! Memory: read, write, execute; MMIO: read and write, never executable. Both identity-mapped, inner shareable, with
//! the access flag set and a memory type that leaves the choice to stage 1. Nothing is malformed.

use parallax_addr::{Ipa, Span};
use parallax_trace::spec::SmmuMode;
use parallax_vmsa::Shareability;

use super::findings::Findings;
use crate::check::Space;
use crate::context::Context;
use crate::finding::Finding;
use crate::leaf::{S1Entry, S2Entry, S2Leaf};
use crate::rule::Rule;
use crate::run::Run;
use crate::snapshot::Snapshot;

/// Judges every mapping of the CPU's stage 2, and every entry of any table that is not legal.
#[must_use]
pub fn check(snapshot: &Snapshot, context: &Context) -> Vec<Finding> {
    let mut findings = Findings::new(snapshot, context);
    for run in snapshot.host() {
        if let S2Entry::Mapped(leaf) = &run.value {
            for (span, memory) in context.pieces(run.span()) {
                host(&mut findings, span, memory, leaf);
            }
        }
    }
    malformed(&mut findings, Space::Cpu, snapshot.host());
    for table in snapshot.smmu.iter().flat_map(|smmu| &smmu.tables) {
        malformed(&mut findings, Space::Smmu, &table.entries);
        if context.smmu == SmmuMode::Shadow {
            shareable(&mut findings, &table.entries);
            left_over(&mut findings, &table.entries);
        }
    }
    for run in snapshot.el2() {
        if let S1Entry::Malformed { .. } = run.value {
            findings.add(Rule::SanityMalformed, Space::El2, run.span(), "the entry is not legal");
        }
    }
    for fault in &snapshot.faults {
        findings.add_of_registers(Rule::SanityUnreadable, fault);
    }
    findings.list
}

fn malformed(findings: &mut Findings<'_>, space: Space, entries: &[Run<Ipa, S2Entry>]) {
    for run in entries {
        match &run.value {
            S2Entry::Malformed { .. } => {
                findings.add(Rule::SanityMalformed, space, run.span(), "the entry is not legal")
            }
            S2Entry::Mapped(leaf) if leaf.other != 0 => {
                findings.add(Rule::SanityMalformed, space, run.span(), "the entry sets bits that must be 0");
            }
            S2Entry::Mapped(_) | S2Entry::Annotated { .. } => {}
        }
    }
}

/// In a table of the SMMU's own an invalid entry says nothing: one that is not 0 is what was there before.
fn left_over(findings: &mut Findings<'_>, entries: &[Run<Ipa, S2Entry>]) {
    for run in entries.iter().filter(|run| matches!(run.value, S2Entry::Annotated { .. })) {
        let message = "an invalid entry of the SMMU's own table is not 0";
        findings.add(Rule::SanityMalformed, Space::Smmu, run.span(), message);
    }
}

/// Memory is inner shareable for devices as for the host. Device types are outer shareable, whatever SH says.
fn shareable(findings: &mut Findings<'_>, entries: &[Run<Ipa, S2Entry>]) {
    let context = findings.context;
    for run in entries {
        let leaf = run.value.leaf().filter(|leaf| !leaf.is_device());
        if leaf.is_none_or(|leaf| leaf.shareability() == Shareability::InnerShareable) {
            continue;
        }
        for (span, _) in context.pieces(run.span()).filter(|(_, memory)| *memory) {
            let message = "the mapping is not inner shareable";
            findings.add(Rule::SanityShareability, Space::Smmu, span, message);
        }
    }
}

fn host(findings: &mut Findings<'_>, span: Span<Ipa>, memory: bool, leaf: &S2Leaf) {
    if findings.is_readable_code(leaf, leaf.outputs(span)) {
        return;
    }
    let mut wrong = |rule, message| findings.add(rule, Space::Cpu, span, message);
    if leaf.offset != 0 {
        wrong(Rule::SanityIdentity, "the host's address leads to another one");
    }
    if !leaf.read || !leaf.write {
        wrong(Rule::SanityPermission, "the host may not both read and write");
    }
    match (memory, leaf.exec().el1(), leaf.exec().el0()) {
        (true, true, true) | (false, false, false) => {}
        (true, ..) => wrong(Rule::SanityExecute, "memory of the host is not executable"),
        (false, ..) => wrong(Rule::SanityExecute, "MMIO is executable"),
    }
    if !leaf.is_write_back() {
        wrong(Rule::SanityMemoryType, "stage 2 does not leave the memory type to the host's stage 1");
    }
    if leaf.shareability() != Shareability::InnerShareable {
        wrong(Rule::SanityShareability, "the mapping is not inner shareable");
    }
    if !leaf.af {
        wrong(Rule::SanityAccessFlag, "the access flag is clear");
    }
}
