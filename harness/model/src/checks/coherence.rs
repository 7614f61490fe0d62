//! What is written through a cache is read through it.
//!
//! EL2 writes tables and queues through its own mapping of them; walkers and the SMMU read them with attributes from
//! registers and stream table entries. Both sides must be write-back and inner shareable: else one of them may see what
//! the other has replaced (DDI 0487, B2.10; IHI 0070, 6.3.11 and 5.2). QEMU has no caches and hides it. What the CPUs'
//! walkers read with is among the registers that `isolation/control` asks for.

use parallax_addr::{PhysAddr, Span};
use parallax_smmu::control::Cr1;
use parallax_vmsa::{MemType, Shareability};

use super::findings::Findings;
use crate::check::Space;
use crate::context::Context;
use crate::finding::Finding;
use crate::rule::Rule;
use crate::smmu_state::SmmuState;
use crate::snapshot::Snapshot;

/// CR1: write-back.
const WRITE_BACK: u8 = 1;
/// Inner shareable, in CR1 and in a stream table entry.
const INNER: u8 = 0b11;

/// Judges EL2's mappings of tables and queues, and what the SMMU reads them with.
#[must_use]
pub fn check(snapshot: &Snapshot, context: &Context) -> Vec<Finding> {
    let mut findings = Findings::new(snapshot, context);
    written(&mut findings);
    if let Some(smmu) = context.used_smmu(snapshot) {
        accesses(&mut findings, smmu);
        walks(&mut findings, smmu);
    }
    for name in snapshot.gic.iter().flat_map(|gic| &gic.its).flat_map(|its| &its.incoherent) {
        let message = format!("{name}.InnerCache and Shareability are not write-back, inner shareable");
        findings.add_of_registers(Rule::SanityCoherence, &message);
    }
    findings.list
}

/// What EL2 writes tables and queues with.
fn written(findings: &mut Findings<'_>) {
    let snapshot = findings.snapshot;
    for run in snapshot.el2() {
        let Some(leaf) = run.value.leaf() else { continue };
        if leaf.mem() == Some(MemType::WB) && leaf.shareability() == Shareability::InnerShareable {
            continue;
        }
        let output = leaf.outputs(run.span());
        if shared(snapshot).iter().any(|span| span.overlaps(output)) {
            findings.add(
                Rule::SanityCoherence,
                Space::El2,
                run.span(),
                "EL2 has a table or a queue mapped other than write-back, inner shareable",
            );
        }
    }
}

/// The memory that EL2 shares with walkers and with the SMMU.
fn shared(snapshot: &Snapshot) -> Vec<Span<PhysAddr>> {
    let mut spans: Vec<_> = snapshot.tables.iter().map(crate::run::Run::span).collect();
    spans.extend([snapshot.layout.cmdq, snapshot.layout.evtq]);
    spans.retain(|span| !span.is_empty());
    spans
}

/// CR1: what the SMMU reads its stream table with, and reads and writes its queues.
fn accesses(findings: &mut Findings<'_>, smmu: &SmmuState) {
    let control = &smmu.control;
    let cr1 = Cr1([u64::from(control.cr1)]);
    let right = [WRITE_BACK, WRITE_BACK, INNER];
    for (on, is, what) in [
        (control.enabled, [cr1.table_ic(), cr1.table_oc(), cr1.table_sh()], "TABLE"),
        (
            control.cmdq_enabled || control.evtq_enabled,
            [cr1.queue_ic(), cr1.queue_oc(), cr1.queue_sh()],
            "QUEUE",
        ),
    ] {
        if on && is != right {
            let message = format!("SMMU_CR1.{what}_IC, OC and SH are not write-back, inner shareable");
            findings.add_of_registers(Rule::SanityCoherence, &message);
        }
    }
}

/// What the SMMU walks stage 2 with: S2IR0, S2OR0 (1 and 3 are write-back) and S2SH0.
fn walks(findings: &mut Findings<'_>, smmu: &SmmuState) {
    for run in smmu.streams.iter().filter(|run| run.value.config().stage2()) {
        let ste = run.value.ste();
        let write_back = |field: u8| matches!(field, 0b01 | 0b11);
        if !(write_back(ste.s2ir0()) && write_back(ste.s2or0()) && ste.s2sh0() == INNER) {
            findings.add(
                Rule::SanityCoherence,
                Space::Ste,
                run.span(),
                "S2IR0, S2OR0 and S2SH0 are not write-back, inner shareable",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaf::{S1Entry, S1Leaf};
    use crate::testing::*;

    /// Where something is found after `plant` has changed a clean state.
    fn planted(plant: impl FnOnce(&mut Snapshot)) -> Vec<Space> {
        let mut state = clean();
        plant(&mut state);
        let found = check(&state, &context());
        assert!(found.iter().all(|finding| finding.rule == Rule::SanityCoherence));
        found.iter().map(|finding| finding.space).collect()
    }

    #[test]
    fn nothing_is_found_where_all_is_right() {
        assert_eq!(planted(|_| ()), []);
    }

    #[test]
    fn el2_writes_tables_and_queues_through_the_cache_that_they_are_read_through() {
        let S1Entry::Mapped(leaf) = el2(LINEAR.wrapping_neg(), true, false) else { unreachable!() };
        let with = |page: u64, leaf: S1Leaf| {
            let va = Span::new(POOL.base + page + LINEAR, 0x1000);
            planted(|state| set(el2_mut(state), va, Some(S1Entry::Mapped(leaf))))
        };
        for (page, what) in [(0x4000, "a table"), (0, "the command queue"), (0x1000, "the event queue")] {
            assert_eq!(with(page, S1Leaf { mair: 0x44, ..leaf }), [Space::El2], "{what}, non-cacheable");
            assert_eq!(with(page, S1Leaf { mair: 0x04, ..leaf }), [Space::El2], "{what}, Device");
            assert_eq!(with(page, S1Leaf { sh: 0, ..leaf }), [Space::El2], "{what}, not shareable");
        }
        assert_eq!(with(0x10_0000, S1Leaf { mair: 0x44, ..leaf }), [], "neither");
    }

    #[test]
    fn the_smmu_reads_them_through_it_too() {
        for field in [0b11, 0b11 << 2, 0b11 << 4, 0b11 << 6, 0b11 << 8, 0b11 << 10] {
            assert_eq!(planted(|state| smmu_of(state).control.cr1 &= !field), [Space::Regs], "{field:#x}");
        }
        for field in [0b11 << 40, 0b11 << 42, 0b11 << 44] {
            let walks = planted(|state| smmu_of(state).streams.make_mut()[0].value.dwords[2] &= !field);
            assert_eq!(walks, [Space::Ste], "{field:#x}");
        }
    }
}
