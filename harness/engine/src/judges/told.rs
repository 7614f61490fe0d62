//! Whether what the host was told of its own SMMU is so.

use parallax_addr::{Ipa, PhysAddr, Span};
use parallax_model::{Finding, check_told_off};
use parallax_ops::{CpuAccess, Operation, Outcome, Reach, ReachKind};

use crate::judge::{Judge, Moment, StepView};

/// Offset of CR0 (IHI 0070, 6.3.9).
const CR0: u64 = 0x20;
/// Offset of CR0ACK (6.3.10).
const CR0ACK: u64 = 0x24;
/// CR0ACK.SMMUEN.
const SMMUEN: u64 = 1;

/// Whether the host was told last that its SMMU is off. That is not known from a write of CR0 to the next read of CR0ACK: an
/// emulated SMMU may take its time. A host that is no trace does not say what it was told.
#[derive(Default)]
pub(super) struct Told {
    /// What the host asked for last, where that is known.
    wanted: Option<u64>,
    /// It has asked and not been told since that it is so: what it asks for meanwhile may be ignored (6.3.9).
    waits: bool,
    /// It has been told that it is so.
    done: bool,
}

impl Told {
    fn check(&self, at: &Moment<'_>) -> Vec<Finding> {
        if self.done && at.context.emulated { check_told_off(at.state, at.context) } else { Vec::new() }
    }
}

/// What an operation has to do with CR0 of the SMMU at `frame`.
enum Word {
    /// It may have written it: what.
    Asked(Option<u64>),
    /// It has read it.
    Is(u64),
    /// It has read CR0ACK, and this is what it was told.
    Told(u64),
}

fn word(operation: &Operation, outcome: &Outcome, frame: PhysAddr) -> Option<Word> {
    let footprint = operation.footprint();
    let register = |offset| Span::new(Ipa::new(frame.get().wrapping_add(offset)), 4);
    let is_near = footprint.pages.is_some_and(|pages| pages.overlaps(register(CR0)));
    match (footprint.reach, outcome) {
        _ if !is_near => None,
        (Some(Reach { kind: ReachKind::Read, span }), Outcome::Ok { value: Some(value) }) => match span {
            _ if span == register(CR0ACK) => Some(Word::Told(*value)),
            _ if span == register(CR0) => Some(Word::Is(*value)),
            _ => None,
        },
        (Some(Reach { kind: ReachKind::Write, span }), _) => {
            let value = match operation {
                Operation::Access(CpuAccess::Write { value, .. }) if span == register(CR0) => Some(*value),
                _ => None,
            };
            span.overlaps(register(CR0)).then_some(Word::Asked(value))
        }
        (Some(_), _) => None,
        // Two CPUs take turns.
        (None, _) => Some(Word::Asked(None)),
    }
}

impl Judge for Told {
    fn judge(&mut self, step: &StepView<'_>) -> Vec<Finding> {
        let frame = step.after.state.layout.smmu.base;
        let words: Vec<Word> = step
            .performed
            .iter()
            .filter(|one| !one.operation.is_device())
            .filter_map(|one| word(one.operation, &one.answer.outcome, frame))
            .collect();
        match words[..] {
            [] => {}
            [Word::Told(cr0)] => {
                // CR0ACK is 0 also while SMMUEN is on its way to 1.
                let off = |cr0: u64| cr0 & SMMUEN == 0;
                let so = self.wanted.is_some_and(|wanted| off(wanted) == off(cr0));
                (self.waits, self.done) = (self.waits && !so, so && off(cr0));
            }
            [Word::Is(cr0)] => self.wanted = Some(cr0),
            [Word::Asked(wanted)] => {
                *self = Self { wanted: wanted.filter(|_| !self.waits), waits: true, done: false };
            }
            // Which of several came last is not known.
            _ => *self = Self { waits: true, ..Self::default() },
        }
        self.check(&step.after)
    }
}
