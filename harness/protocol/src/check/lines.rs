//! Lines of memory that EL2 has stored to and not cleaned to the point of coherency: a CPU that starts reads with its MMU
//! and caches off, and does not see what the caches of others hold (DDI 0487, B2.10 and D7.5).

use parallax_addr::{PAGE_SIZE, PhysAddr};

use super::checker::Checker;
use super::finding::{Site, Subject};
use super::rule::Rule;
use crate::event::{DcOp, Dsb};
use crate::map::Map;

/// Bytes of a line. A smaller one is cleaned with its neighbours, or the CPU has lines of this size: CTR_EL0 is not told.
const LINE: u64 = 64;
/// SCTLR_EL2.M. Stores without it are not cached.
const M: u64 = 1;
/// PSCI's CPU_SUSPEND and CPU_ON (DEN0022, 5.1), and the bit of a function id that says SMC64.
const STARTS: [(u64, &str); 2] = [(0x8400_0001, "CPU_SUSPEND"), (0x8400_0003, "CPU_ON")];
const SMC64: u64 = 1 << 30;

/// Lines of a device tree that are looked at: 64 MiB.
const MOST_OF_TREE: usize = 1 << 20;

/// A line that was stored to.
#[derive(Clone, Copy, Debug)]
struct Line {
    /// The last store.
    by: Site,
    /// It was cleaned since, by that CPU, and no DSB SY has completed that.
    cleaned: bool,
}

/// Lines that were asked for lately: each has one place, by its number.
const LATELY: usize = 256;

/// All lines that may be held by caches alone.
#[derive(Debug)]
pub(super) struct Lines {
    /// Those that were ever stored to; nothing where all of it is in memory.
    lines: Vec<Option<Line>>,
    /// Where each is among them, by its address.
    places: Map<u64, u32>,
    /// The same for some of them, which needs no hash: most stores follow others to the same stack.
    lately: [(u64, u32); LATELY],
    /// Where those are that were cleaned.
    cleaned: Vec<u32>,
}

impl Default for Lines {
    fn default() -> Self {
        let lately = [(u64::MAX, 0); LATELY];
        Self { lines: Vec::new(), places: Map::default(), lately, cleaned: Vec::new() }
    }
}

impl Lines {
    /// A DSB of `cpu`.
    pub(super) fn dsb(&mut self, cpu: u16, option: Dsb) {
        if option != Dsb::Sy || self.cleaned.is_empty() {
            return;
        }
        let Self { lines, cleaned, .. } = self;
        cleaned.retain(|place| match &mut lines[*place as usize] {
            line @ Some(Line { cleaned: true, .. }) => {
                let done = line.is_some_and(|line| line.by.cpu == cpu);
                if done {
                    *line = None;
                }
                !done
            }
            _ => false,
        });
    }

    fn place(&mut self, line: u64) -> u32 {
        let lately = &mut self.lately[(line / LINE) as usize % LATELY];
        if lately.0 != line {
            let place = *self.places.entry(line).or_insert(self.lines.len() as u32);
            if place as usize == self.lines.len() {
                self.lines.push(None);
            }
            *lately = (line, place);
        }
        lately.1
    }

    /// The line at `address`, if caches alone may hold it, and where it is.
    fn dirty(&mut self, address: u64) -> Option<(u32, &mut Line)> {
        let place = *self.places.get(&(address & !(LINE - 1)))?;
        Some((place, self.lines[place as usize].as_mut()?))
    }
}

impl Checker {
    /// A store to memory at `pa`.
    pub(super) fn dirtied(&mut self, at: Site, pa: u64) {
        if self.cpus.get(at.cpu).and_then(|cpu| cpu.sctlr).is_some_and(|sctlr| sctlr & M == 0) {
            return;
        }
        let place = self.lines.place(pa & !(LINE - 1));
        self.lines.lines[place as usize] = Some(Line { by: at, cleaned: false });
    }

    /// Cache maintenance. What discards a line, or goes by set and way, cleans nothing for others to see.
    pub(super) fn dc(&mut self, at: Site, op: DcOp, operand: u64) {
        if !matches!(op, DcOp::Cvac | DcOp::Civac | DcOp::Cvap | DcOp::Cvadp) {
            return;
        }
        if let Some((place, line)) = self.lines.dirty(operand)
            && line.by.cpu == at.cpu
            && !line.cleaned
        {
            line.cleaned = true;
            self.lines.cleaned.push(place);
        }
    }

    /// A CPU leaves EL2 for the first time: the host starts, with its caches off, and reads its device tree.
    pub(super) fn host_started(&mut self, at: Site) {
        let Some((first, bytes)) = self.areas.tree.take() else { return };
        let lines = (first & !(LINE - 1)..first.saturating_add(bytes)).step_by(LINE as usize);
        let dirty = lines.take(MOST_OF_TREE).find_map(|line| Some((line, *self.lines.dirty(line)?.1)));
        let Some((address, line)) = dirty else { return };
        let what =
            format!("the host starts, and reads its device tree past the caches that hold {address:#x}");
        let missing = if line.cleaned { "DSB SY after the DC" } else { "DC CVAC of it, DSB SY" };
        let subject = Subject::Page { pa: PhysAddr::new(address & !(PAGE_SIZE - 1)) };
        self.report(Rule::StartUnclean, subject, at, Some(line.by), what, missing.to_owned());
    }

    /// A call to the firmware. If it starts a CPU, that has `context` in x0 and reads there.
    pub(super) fn smc(&mut self, at: Site, function: u64, context: u64) {
        let function = function & 0xffff_ffff & !SMC64;
        let Some((_, name)) = STARTS.iter().find(|(id, _)| *id == function) else { return };
        let Some((_, &mut line)) = self.lines.dirty(context) else { return };
        let what = format!("{name} with the context id {context:#x}: the CPU reads there past the caches");
        let missing = if line.cleaned { "DSB SY after the DC" } else { "DC CVAC of it, DSB SY" };
        let subject = Subject::Page { pa: PhysAddr::new(context & !(PAGE_SIZE - 1)) };
        self.report(Rule::StartUnclean, subject, at, Some(line.by), what, missing.to_owned());
    }
}
