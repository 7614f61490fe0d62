//! Base addresses: each is a multiple of its structure's size, and the SMMU's queues lie where the hypervisor says.
//!
//! Hardware takes address bits below a structure's size for zero, or may do worse with them (VTTBR_EL2). Everything else
//! here judges structures where they are then; this tells that the register means another place.

use parallax_addr::{PhysAddr, Span};
use parallax_vmsa::Regime;
use parallax_vmsa::regs::Ttbr;

use super::findings::Findings;
use crate::check::Space;
use crate::context::Context;
use crate::finding::Finding;
use crate::rule::Rule;
use crate::smmu_state::{Queue, SmmuState};
use crate::snapshot::{Cpu, Snapshot};

/// Bytes of a command of the SMMU.
const COMMAND: u64 = 16;
/// Bytes of a record of its event queue.
const EVENT: u64 = 32;

/// Judges the base of every table and queue that is in use.
#[must_use]
pub fn check(snapshot: &Snapshot, context: &Context) -> Vec<Finding> {
    let mut findings = Findings::new(snapshot, context);
    for cpu in &snapshot.cpus {
        roots(&mut findings, cpu);
    }
    if let Some(smmu) = context.used_smmu(snapshot) {
        bases(&mut findings, smmu);
        queues(&mut findings, smmu);
    }
    findings.list
}

/// The CPU's roots (DDI 0487, D24.2: VTTBR_EL2.BADDR, TTBR0_EL2.BADDR).
fn roots(findings: &mut Findings<'_>, Cpu { number, registers, .. }: &Cpu) {
    for (name, value, regime) in [
        ("VTTBR_EL2", registers.vttbr_el2, Regime::stage2(registers)),
        ("TTBR0_EL2", registers.ttbr0_el2, Regime::el2_stage1(registers)),
    ] {
        let Ok(Some(regime)) = regime else { continue };
        if Ttbr(value).baddr() != regime.root {
            let size = regime.root_size();
            let message = format!("CPU {number}: {name} is no multiple of the root's size, {size:#x} bytes");
            findings.add_of_registers(Rule::SanityAlignment, &message);
        }
    }
}

/// The SMMU's (IHI 0070, 6.3.24, 6.3.26, 6.3.29, and 5.2 for S2TTB).
fn bases(findings: &mut Findings<'_>, smmu: &SmmuState) {
    let control = &smmu.control;
    for (on, name, below) in [
        (control.enabled, "STRTAB_BASE", control.strtab_below),
        (control.cmdq_enabled, "CMDQ_BASE", control.cmdq.below),
        (control.evtq_enabled, "EVENTQ_BASE", control.evtq.below),
    ] {
        if on && below != 0 {
            let message = format!("SMMU_{name} is no multiple of its structure's size");
            findings.add_of_registers(Rule::SanityAlignment, &message);
        }
    }
    for run in smmu.streams.iter().filter(|run| run.value.root_below != 0) {
        findings.add(
            Rule::SanityAlignment,
            Space::Ste,
            run.span(),
            "S2TTB is no multiple of the root's size: the SMMU walks another table",
        );
    }
}

/// The queues that are the hypervisor's are the memory that it names for them.
fn queues(findings: &mut Findings<'_>, smmu: &SmmuState) {
    let (control, layout) = (&smmu.control, findings.snapshot.layout);
    // An event queue of the host's is isolation/event-queue's.
    let events = control.evtq_enabled && !findings.context.emulated;
    // Where the SMMU is to fail, the machine has taken its commands away.
    let commands = control.cmdq_enabled && !findings.context.smmu_fails;
    for (on, queue, bytes, named, what) in [
        (commands, control.cmdq, COMMAND, layout.cmdq, "command queue"),
        (events, control.evtq, EVENT, layout.evtq, "event queue"),
    ] {
        let span = extent(queue, bytes);
        if on && (span.base != named.base || span.size > named.size) {
            let message = format!("the SMMU's {what} is not the memory that the hypervisor has for it");
            findings.add(Rule::ReachQueuePlace, Space::Page, span, &message);
        }
    }
}

/// Where a queue is whose entries have `bytes` bytes.
fn extent(queue: Queue, bytes: u64) -> Span<PhysAddr> {
    Span::new(queue.base, bytes << u32::from(queue.log2size).min(19))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    /// What is found after `plant` has changed a clean state.
    fn planted(plant: impl FnOnce(&mut Snapshot)) -> Vec<(Rule, String)> {
        let mut state = clean();
        plant(&mut state);
        check(&state, &context()).iter().map(|finding| (finding.rule, finding.words())).collect()
    }

    fn rules(plant: impl FnOnce(&mut Snapshot)) -> Vec<Rule> {
        planted(plant).into_iter().map(|(rule, _)| rule).collect()
    }

    #[test]
    fn nothing_is_found_where_all_is_right() {
        assert_eq!(planted(|_| ()), []);
    }

    #[test]
    fn a_root_must_be_a_multiple_of_its_size() {
        let root = |vttbr_el2: u64| {
            planted(|state| {
                let cpu = &mut state.cpus[0];
                // T0SZ=24, SL0=1: two tables.
                cpu.registers.vtcr_el2 = 24 | 1 << 6 | 0x35 << 8 | 2 << 16 | 1 << 31;
                cpu.registers.vttbr_el2 = vttbr_el2;
            })
        };
        assert_eq!(root(POOL.base + 0x4001), [], "bit 0 is CnP");
        for wrong in [0x5000, 0x4800, 0x4002] {
            let found = root(POOL.base + wrong);
            assert_eq!(found.len(), 1, "{wrong:#x}");
            assert_eq!(
                found[0].1, "CPU 0: VTTBR_EL2 is no multiple of the root's size, 0x2000 bytes",
                "{wrong:#x}"
            );
        }
    }

    #[test]
    fn the_smmus_bases_must_be_multiples_of_their_sizes() {
        assert_eq!(rules(|state| smmu_of(state).control.strtab_below = 0x40), [Rule::SanityAlignment]);
        assert_eq!(rules(|state| smmu_of(state).control.cmdq.below = 0x20), [Rule::SanityAlignment]);
        assert_eq!(rules(|state| smmu_of(state).control.evtq.below = 0x20), [Rule::SanityAlignment]);
        let off = |state: &mut Snapshot| {
            let control = &mut smmu_of(state).control;
            (control.evtq.below, control.evtq_enabled) = (0x20, false);
        };
        assert_eq!(rules(off), []);
        assert_eq!(
            rules(|state| smmu_of(state).streams.make_mut()[0].value.root_below = 0x10),
            [Rule::SanityAlignment]
        );
    }

    #[test]
    fn the_hypervisors_queues_are_where_it_says() {
        let free = PhysAddr::new(POOL.base + 0x10_0000);
        assert_eq!(rules(|state| smmu_of(state).control.cmdq.base = free), [Rule::ReachQueuePlace]);
        assert_eq!(rules(|state| smmu_of(state).control.evtq.base = free), [Rule::ReachQueuePlace]);
        assert_eq!(
            rules(|state| smmu_of(state).control.evtq.log2size = 8),
            [Rule::ReachQueuePlace],
            "longer"
        );
        let mut state = clean();
        smmu_of(&mut state).control.evtq.base = free;
        let emulated = Context { emulated: true, ..context() };
        assert!(check(&state, &emulated).is_empty(), "the host's own");
    }
}
