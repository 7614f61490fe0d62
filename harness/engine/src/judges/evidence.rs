//! What the data of a device tell of its way, where the SMMU's word is not enough: a host that has an SMMU of its own may
//! have turned that off.
//!
//! The device must have worked alone since the last look.

use parallax_addr::{Ipa, PAGE_SIZE, PhysAddr};
use parallax_model::{Finding, Outcome as Passage, Span, check_access};
use parallax_ops::{Answer, Batch, DmaAccess, Operation, Order};
use parallax_vmsa::PhysMem;

use super::access::{agent, kind};
use super::data;
use crate::judge::{Judge, StepView};

/// Holds where a device's data went, or came from, against the tables. It judges operations that are looked at
/// together; the SMMU's word and the bytes are compared where each is looked at by itself.
pub(super) struct Evidence {
    ram: Span<PhysAddr>,
    before: Option<Before>,
}

impl Evidence {
    /// For a machine with this memory.
    pub(super) const fn new(ram: Span<PhysAddr>) -> Self {
        Self { ram, before: None }
    }
}

impl Judge for Evidence {
    fn before(&mut self, batch: &Batch, memory: &dyn PhysMem) {
        self.before = match &batch.ops[..] {
            [(_, operation)] if batch.order != Order::InTurn => Before::of(operation, memory, self.ram),
            _ => None,
        };
    }

    fn judge(&mut self, step: &StepView<'_>) -> Vec<Finding> {
        let StepView { performed, before, after, .. } = step;
        let (Some(held), [one]) = (self.before.take(), performed) else { return Vec::new() };
        let accesses = held.after(one.answer, after.memory);
        accesses.iter().flat_map(|access| check_access(access, before, after.state, after.context)).collect()
    }
}

/// What memory held where a device is about to reach.
struct Before {
    access: DmaAccess,
    span: Span<PhysAddr>,
    before: Vec<u8>,
}

impl Before {
    fn of(operation: &Operation, memory: &dyn PhysMem, ram: Span<PhysAddr>) -> Option<Self> {
        let (Operation::Dma(access), Some(data)) = (operation, operation.data()) else { return None };
        let span = data.span.cast();
        let before =
            ram.intersect(span).filter(|part| *part == span).and_then(|_| data::read(memory, span))?;
        Some(Self { access: *access, span, before })
    }

    /// The accesses that the data give evidence of, page by page.
    fn after(&self, answer: &Answer, memory: &dyn PhysMem) -> Vec<parallax_model::Access> {
        let Some(now) = data::read(memory, self.span) else { return Vec::new() };
        let footprint = Operation::Dma(self.access).footprint();
        let Some(reach) = footprint.reach else { return Vec::new() };
        let mut accesses = Vec::new();
        let (base, last) = (self.span.base.get(), self.span.end().get());
        let mut at = base;
        while at < last {
            let end = ((at / PAGE_SIZE + 1) * PAGE_SIZE).min(last);
            let range = (at - base) as usize..(end - base) as usize;
            let (old, new) = (&self.before[range.clone()], &now[range.clone()]);
            let passed = match self.access {
                DmaAccess::Write { value, .. } => {
                    let sent = value.to_le_bytes();
                    let sent: Vec<u8> =
                        sent.iter().copied().cycle().skip(range.start % 8).take(old.len()).collect();
                    written(old, new, &sent)
                }
                // Only its first 8 bytes are told.
                DmaAccess::Read { .. } => {
                    answer.read.first().and_then(|value| read(old, *value)).filter(|_| range.start == 0)
                }
            };
            if let Some(passed) = passed {
                let outcome = if passed { Passage::Passed } else { Passage::Refused };
                let (agent, kind) = (agent(footprint.agent), kind(reach.kind));
                let span = Span::between(Ipa::new(at), Ipa::new(end));
                accesses.push(parallax_model::Access { agent, kind, span, outcome });
            }
            at = end;
        }
        accesses
    }
}

/// Whether `sent` was written over `old`, which became `new`; `None` if it cannot be told.
fn written(old: &[u8], new: &[u8], sent: &[u8]) -> Option<bool> {
    match (old == sent, new == sent, new == old) {
        (false, true, _) => Some(true),
        (false, _, true) => Some(false),
        _ => None,
    }
}

/// Whether a device that says that it read `value` did so from `memory`; `None` if it cannot be told.
fn read(memory: &[u8], value: u64) -> Option<bool> {
    let there = u64::from_le_bytes(memory.get(..8)?.try_into().ok()?);
    match (there, value) {
        (0, _) => None,
        (there, value) if there == value => Some(true),
        (_, 0) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_tell_whether_a_write_passed() {
        assert_eq!(written(&[1, 2], &[7, 8], &[7, 8]), Some(true));
        assert_eq!(written(&[1, 2], &[1, 2], &[7, 8]), Some(false));
        assert_eq!(written(&[7, 8], &[7, 8], &[7, 8]), None);
        assert_eq!(written(&[1, 2], &[7, 2], &[7, 8]), None);
    }

    #[test]
    fn data_tell_whether_a_read_passed() {
        let memory = 5_u64.to_le_bytes();
        assert_eq!(read(&memory, 5), Some(true));
        assert_eq!(read(&memory, 0), Some(false));
        assert_eq!(read(&memory, 6), None);
        assert_eq!(read(&[0; 8], 0), None);
    }
}
