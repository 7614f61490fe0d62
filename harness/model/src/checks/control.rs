//! Check 2, what EL2's registers keep from the host: on each CPU that runs it, and the same on all of them.

use parallax_addr::HypVa;

use super::findings::Findings;
use crate::context::Context;
use crate::finding::Finding;
use crate::freedom::Freedom;
use crate::leaf::S1Entry;
use crate::registers::differing;
use crate::rule::Rule;
use crate::run;
use crate::snapshot::{Cpu, Snapshot};

/// A field that has one value, whatever the CPU: extensions that it lacks make none of these another one.
struct Field {
    register: &'static str,
    name: &'static str,
    mask: u64,
    value: u64,
    /// What another value means.
    means: &'static str,
    /// Who takes this need not have the value.
    unless: Option<Freedom>,
}

impl Field {
    const fn unless(self, freedom: Freedom) -> Self {
        Self { unless: Some(freedom), ..self }
    }
}

const fn field(
    register: &'static str,
    name: &'static str,
    mask: u64,
    value: u64,
    means: &'static str,
) -> Field {
    Field { register, name, mask, value, means, unless: None }
}

const fn set(register: &'static str, name: &'static str, bit: u32, means: &'static str) -> Field {
    field(register, name, 1 << bit, 1 << bit, means)
}

const fn clear(register: &'static str, name: &'static str, bit: u32, means: &'static str) -> Field {
    field(register, name, 1 << bit, 0, means)
}

const UNCACHED: &str = "walkers do not see what EL2 has in its caches";
const NESTED: &str = "the host has registers and instructions of EL2";

/// DDI 0487, D24.2, with E2H = 0.
const FIELDS: &[Field] = &[
    set("HCR_EL2", "SWIO", 1, "the host may discard what EL2 has in its caches, by set and way")
        .unless(Freedom::SetWay),
    clear("HCR_EL2", "DC", 12, "the host's stage 1 is off, whatever it says"),
    set("HCR_EL2", "TSC", 19, "the host's SMC reaches EL3"),
    clear("HCR_EL2", "TGE", 27, "exceptions of EL0 go to EL2, and there is no stage 2"),
    set("HCR_EL2", "RW", 31, "EL1 is AArch32"),
    field("HCR_EL2", "CD and ID", 3 << 32, 0, "what the host's stage 1 caches is not cached"),
    clear("HCR_EL2", "E2H", 34, "EL2's registers have another layout").unless(Freedom::E2h),
    field("HCR_EL2", "NV, NV1 and NV2", 0b1011 << 42, 0, NESTED),
    field("VTCR_EL2", "IRGN0, ORGN0 and SH0", 0x3f << 8, 0x35 << 8, UNCACHED),
    field("TCR_EL2", "IRGN0, ORGN0 and SH0", 0x3f << 8, 0x35 << 8, UNCACHED),
    set("SCTLR_EL2", "C", 2, "EL2's data is not cached"),
    set("SCTLR_EL2", "EOS", 11, "returning to the host synchronises nothing"),
    set("SCTLR_EL2", "I", 12, "EL2's instructions are not cached"),
    set("SCTLR_EL2", "WXN", 19, "a page that EL2 may write could be executed"),
    set("SCTLR_EL2", "EIS", 22, "entering EL2 synchronises nothing"),
    clear("SCTLR_EL2", "EE", 25, "EL2 reads its tables and data big-endian"),
    field("SCTLR_EL2", "RES1", 0x30c5_0830, 0x30c5_0830, "a bit that is RES1 is 0").unless(Freedom::E2h),
];

/// Judges the registers of each CPU.
#[must_use]
pub(super) fn check(snapshot: &Snapshot, context: &Context) -> Vec<Finding> {
    let mut findings = Findings::new(snapshot, context);
    for cpu in &snapshot.cpus {
        required(&mut findings, cpu);
    }
    if let Some((first, others)) = snapshot.cpus.split_first() {
        others.iter().for_each(|other| same(&mut findings, first, other));
    }
    for (index, cpu) in snapshot.cpus.iter().enumerate() {
        let identity = |cpu: &Cpu| cpu.registers.control.and_then(|control| control.vmpidr_el2);
        let is_taken = |other: &Cpu| identity(other).is_some() && identity(other) == identity(cpu);
        if snapshot.cpus[..index].iter().any(is_taken) {
            let message = "VMPIDR_EL2 is that of another CPU: the host takes them for one";
            findings.add_of_cpu(Rule::IsolationControl, cpu, message);
        }
    }
    findings.list
}

fn required(findings: &mut Findings<'_>, cpu: &Cpu) {
    let first = cpu.number == 0;
    if !first && !cpu.control.stage2_enabled {
        let message = "the host's stage 2 is off: it reaches everything";
        findings.add_of_cpu(Rule::IsolationOpen, cpu, message);
    }
    if !first && !cpu.control.el2_enabled {
        findings.add_of_cpu(Rule::IsolationEl2Off, cpu, "EL2's stage 1 is off");
    }
    for (register, value) in cpu.registers.values() {
        let freedoms = findings.context.freedoms;
        let held = |field: &&Field| field.unless.is_none_or(|freedom| !freedoms.allow(freedom));
        for field in FIELDS.iter().filter(|field| field.register == register).filter(held) {
            if value & field.mask != field.value {
                let Field { name, mask, means, .. } = field;
                let is = value & mask;
                let message = format!("{register}.{name} is wrong ({is:#x}): {means}");
                findings.add_of_cpu(Rule::IsolationControl, cpu, &message);
            }
        }
    }
}

/// EL2's vectors are code of EL2.
pub(super) fn vectors(findings: &mut Findings<'_>, cpu: &Cpu) {
    let Some(control) = cpu.registers.control.filter(|_| cpu.control.el2_enabled) else { return };
    let entry = run::find(findings.snapshot.el2(), HypVa::new(control.vbar_el2)).map(|run| run.value);
    if !matches!(entry, Some(S1Entry::Mapped(leaf)) if leaf.exec) {
        let message = "VBAR_EL2 does not lead to code of EL2";
        findings.add_of_cpu(Rule::IsolationControl, cpu, message);
    }
}

/// What one CPU keeps from the host, every one does.
fn same(findings: &mut Findings<'_>, first: &Cpu, other: &Cpu) {
    for message in differing(first, other) {
        findings.add_of_cpu(Rule::IsolationControl, other, &message);
    }
}
