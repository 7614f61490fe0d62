//! Check 1: the CPU's and the SMMU's tables grant the same.
//!
//! Within the SMMU's output size a device reaches a page exactly when the host's entry is not annotated: a valid entry
//! and a zero one (mapped on the next fault) both mean that the page is the host's. Same output address, no permission
//! that the CPU does not have, and the memory type that the policy asks for.

use parallax_addr::{Ipa, Span};
use parallax_smmu::Config;
use parallax_trace::spec::{MmioPolicy, SmmuMode};

use super::findings::Findings;
use crate::check::Space;

use crate::context::Context;
use crate::finding::Finding;
use crate::leaf::{S2Entry, S2Leaf};
use crate::rule::Rule;
use crate::run::{self, Run};
use crate::snapshot::Snapshot;

/// Judges every stage-2 table that a stream uses, and that every stream that must be served is.
#[must_use]
pub fn check(snapshot: &Snapshot, context: &Context) -> Vec<Finding> {
    let mut findings = Findings::new(snapshot, context);
    let Some(smmu) = context.used_smmu(snapshot) else {
        return findings.list;
    };
    for table in &smmu.tables {
        let bits = smmu.control.output_bits.min(snapshot.control().input_bits);
        tables(&mut findings, &table.entries, Span::new(Ipa::new(0), 1_u64 << bits.min(63)));
    }
    // An SMMU that fails is closed, and serves nobody.
    if context.smmu_fails && snapshot.is_closed() {
        return findings.list;
    }
    let served = Span::new(0, 1_u64 << context.sid_bits.min(32));
    for (span, stream, _) in run::overlay::<_, _, ()>(&smmu.streams, &[], served) {
        // A host with an SMMU of its own may have its streams aborted.
        let aborts = stream.is_none_or(|stream| stream.config() == Config::Abort);
        if !(stream.is_some_and(|stream| stream.config().stage2()) || context.emulated && aborts) {
            findings.add(
                Rule::SyncStreamUnserved,
                Space::Ste,
                span,
                "streams that are to be served have no stage 2",
            );
        }
    }
    findings.list
}

fn tables(findings: &mut Findings<'_>, smmu: &[Run<Ipa, S2Entry>], limit: Span<Ipa>) {
    let snapshot = findings.snapshot;
    for (span, host, device) in run::overlay(snapshot.host(), smmu, limit) {
        match (host, device) {
            (Some(S2Entry::Annotated { .. }), Some(S2Entry::Mapped(_))) => {
                findings.add(
                    Rule::SyncExtra,
                    Space::Smmu,
                    span,
                    "devices reach what the host's table gives to another",
                );
            }
            (Some(S2Entry::Annotated { .. } | S2Entry::Malformed { .. }), _) => {}
            (_, Some(S2Entry::Mapped(leaf))) => mapped(findings, span, host.and_then(S2Entry::leaf), leaf),
            (_, None) => {
                findings.add(Rule::SyncMissing, Space::Smmu, span, "devices do not reach what is the host's")
            }
            (_, Some(_)) => {
                findings.add(
                    Rule::SyncMissing,
                    Space::Smmu,
                    span,
                    "the SMMU's entry for what is the host's is not valid",
                );
            }
        }
    }
}

/// Both sides grant `span` (`host` is none where the host's entry is zero).
fn mapped(findings: &mut Findings<'_>, span: Span<Ipa>, host: Option<&S2Leaf>, device: &S2Leaf) {
    let context = findings.context;
    for (span, memory) in context.pieces(span) {
        if device.offset != host.map_or(0, |leaf| leaf.offset) {
            findings.add(
                Rule::SyncAddress,
                Space::Smmu,
                span,
                "devices reach another address than the host's CPUs",
            );
        }
        let (read, write) = host.map_or((true, true), |leaf| (leaf.read, leaf.write));
        if (device.read && !read) || (device.write && !write) {
            findings.add(
                Rule::SyncPermission,
                Space::Smmu,
                span,
                "devices may do what the host's CPUs may not",
            );
        } else if (device.read, device.write) != (read, write) {
            findings.add(
                Rule::SyncPermission,
                Space::Smmu,
                span,
                "devices may not do what the host's CPUs may",
            );
        }
        if !device.af {
            findings.add(Rule::SyncAccessFlag, Space::Smmu, span, "the access flag is clear: devices fault");
        }
        memory_type(findings, span, memory, host, device);
    }
}

fn memory_type(
    findings: &mut Findings<'_>,
    span: Span<Ipa>,
    memory: bool,
    host: Option<&S2Leaf>,
    device: &S2Leaf,
) {
    let context = findings.context;
    if context.smmu == SmmuMode::Shared {
        if host.is_some_and(|host| host.mem() != device.mem()) {
            findings.add(
                Rule::SyncMemoryType,
                Space::Smmu,
                span,
                "the SMMU reads the host's table with another memory type",
            );
        }
        return;
    }
    let wants_device = match context.mmio {
        MmioPolicy::Cacheable => false,
        MmioPolicy::Region => !memory,
        MmioPolicy::Prot => host.map_or(!memory, |leaf| leaf.read && leaf.write && !leaf.exec().el1()),
    };
    if wants_device && !device.is_device() {
        findings.add(Rule::SyncMemoryType, Space::Smmu, span, "the policy asks for Device memory");
    } else if !wants_device && !device.is_write_back() {
        findings.add(Rule::SyncMemoryType, Space::Smmu, span, "the policy asks for Normal write-back memory");
    }
}
