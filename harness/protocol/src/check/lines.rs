//! Lines of memory that EL2 has stored to and not cleaned to the point of coherency: a CPU that starts reads with its MMU
//! and caches off, and does not see what the caches of others hold (DDI 0487, B2.10 and D7.5).

use std::collections::HashMap;

use parallax_addr::PhysAddr;

use super::checker::Checker;
use super::finding::{Site, Subject};
use super::rule::Rule;
use crate::event::{DcOp, Dsb};

/// Bytes of a line. A smaller one is cleaned with its neighbours, or the CPU has lines of this size: CTR_EL0 is not told.
const LINE: u64 = 64;
/// SCTLR_EL2.M. Stores without it are not cached.
const M: u64 = 1;
/// PSCI's CPU_SUSPEND and CPU_ON (DEN0022, 5.1), and the bit of a function id that says SMC64.
const STARTS: [(u64, &str); 2] = [(0x8400_0001, "CPU_SUSPEND"), (0x8400_0003, "CPU_ON")];
const SMC64: u64 = 1 << 30;

/// A line that was stored to.
#[derive(Clone, Copy, Debug)]
struct Line {
    /// The last store.
    by: Site,
    /// It was cleaned since, by that CPU, and no DSB SY has completed that.
    cleaned: bool,
}

/// All lines that may be held by caches alone, by their address.
#[derive(Debug, Default)]
pub(super) struct Lines {
    dirty: HashMap<u64, Line>,
    /// Those of them that were cleaned.
    cleaned: Vec<u64>,
    /// The one that was stored to last: most stores follow one to the same line.
    last: Option<(u64, Site)>,
}

impl Lines {
    /// A DSB of `cpu`.
    pub(super) fn dsb(&mut self, cpu: u16, option: Dsb) {
        if option != Dsb::Sy || self.cleaned.is_empty() {
            return;
        }
        let Self { dirty, cleaned, .. } = self;
        cleaned.retain(|line| match dirty.get(line) {
            Some(found) if found.cleaned && found.by.cpu == cpu => {
                dirty.remove(line);
                false
            }
            found => found.is_some_and(|found| found.cleaned),
        });
    }
}

impl Checker {
    /// A store to memory at `pa`.
    pub(super) fn dirtied(&mut self, at: Site, pa: u64) {
        let line = pa & !(LINE - 1);
        let same = |(last, by): (u64, Site)| last == line && (by.pc, by.cpu) == (at.pc, at.cpu);
        if self.lines.last.is_some_and(same) {
            return;
        }
        if self.cpus.get(at.cpu).and_then(|cpu| cpu.sctlr).is_some_and(|sctlr| sctlr & M == 0) {
            return;
        }
        self.lines.last = Some((line, at));
        self.lines.dirty.insert(line, Line { by: at, cleaned: false });
    }

    /// Cache maintenance. What discards a line, or goes by set and way, cleans nothing for others to see.
    pub(super) fn dc(&mut self, at: Site, op: DcOp, operand: u64) {
        let line = operand & !(LINE - 1);
        let found = self.lines.dirty.get_mut(&line).filter(|found| found.by.cpu == at.cpu && !found.cleaned);
        if matches!(op, DcOp::Cvac | DcOp::Civac | DcOp::Cvap)
            && let Some(found) = found
        {
            found.cleaned = true;
            self.lines.cleaned.push(line);
            self.lines.last = None;
        }
    }

    /// A call to the firmware. If it starts a CPU, that has `context` in x0 and reads there.
    pub(super) fn smc(&mut self, at: Site, function: u64, context: u64) {
        let function = function & 0xffff_ffff & !SMC64;
        let Some((_, name)) = STARTS.iter().find(|(id, _)| *id == function) else { return };
        let Some(line) = self.lines.dirty.get(&(context & !(LINE - 1))).copied() else { return };
        let what = format!("{name} with this as its context id: the CPU reads it past the caches");
        let missing = if line.cleaned { "DSB SY after the DC" } else { "DC CVAC of it, DSB SY" };
        let subject = Subject::Page { pa: PhysAddr::new(context) };
        self.report(Rule::StartUnclean, subject, at, Some(line.by), what, missing.to_owned());
    }
}
