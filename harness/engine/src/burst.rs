//! Many operations between two stops without a plugin: what they did together.

use parallax_addr::{Ipa, PAGE_SIZE, PhysAddr};
use parallax_model::{BlockSize, Finding, Outcome as Passage, Span, check, check_access};
use parallax_ops::{Answer, DmaAccess, Operation, Outcome};
use parallax_trace::Op;
use parallax_vmsa::PhysMem;

use crate::error::SessionError;
use crate::judges::{agent, check_access as judge_access, check_expected, kind};
use crate::session::{Session, batch};

/// What came of a burst.
#[derive(Clone, Debug)]
pub struct Burst {
    /// How each operation ended.
    pub outcomes: Vec<Outcome>,
    /// What was found and had not been found before.
    pub findings: Vec<Finding>,
    /// Whether anything that translates an address changed.
    pub changed: bool,
}

impl Session<'_> {
    /// Performs `ops`, at most as many as a mailbox holds, without a stop between them, and looks at the state after
    /// all of them. An access of a CPU is judged unless a hypercall of the burst names its page: what held in the
    /// meantime cannot be seen.
    ///
    /// An operation of a device must be alone. It is judged by its data, not by what the SMMU says of it: the host may
    /// have turned that off.
    ///
    /// # Errors
    /// As [`Session::step`].
    pub fn burst(&mut self, ops: &[&Op]) -> Result<Burst, SessionError> {
        let operations = ops.iter().map(|op| self.operation(op)).collect::<Result<Vec<_>, _>>()?;
        let batch = batch(ops, &operations);
        let evidence = match operations[..] {
            [operation] => Evidence::before(&operation, self.machine.memory(), self.ram),
            _ => None,
        };
        let answers = self.machine.perform(&batch)?;
        if answers.len() != ops.len() {
            return Err(SessionError::NoResponse);
        }
        self.registers = self.machine.registers()?;
        let after = self.observer.observe(self.machine.memory(), &self.registers);
        let context = self.observer.context();
        let mut findings = Vec::new();
        let mut outcomes = Vec::with_capacity(ops.len());
        let mut alone = None;
        for ((op, operation), answer) in ops.iter().zip(&operations).zip(answers) {
            findings.extend(check_expected(op, (operation, &answer.outcome), &after, context));
            if !operation.is_device() && !operations.iter().any(|other| names(other, operation)) {
                findings.extend(judge_access(operation, &answer, &self.now, &after, context));
            }
            outcomes.push(answer.outcome.clone());
            alone = Some(answer);
        }
        if let (Some(evidence), Some(answer)) = (evidence, alone) {
            for access in evidence.after(&answer, self.machine.memory()) {
                findings.extend(check_access(&access, &self.now, &after, context));
            }
        }
        findings.extend(check(&after, context));
        let form = parallax_model::canonical::Canonical::of(&after, BlockSize::Shown);
        let changed = form != self.form;
        self.now = after;
        self.form = form;
        Ok(Burst { outcomes, findings: self.reporter.fresh(findings), changed })
    }
}

/// Whether hypercall `call` may have changed who has the page that `access` reaches.
fn names(call: &Operation, access: &Operation) -> bool {
    let pages = |operation: &Operation| operation.footprint().pages;
    call.call().is_some()
        && pages(call).zip(pages(access)).is_some_and(|(named, reached)| named.overlaps(reached))
}

/// What memory held where a device is about to reach.
struct Evidence {
    access: DmaAccess,
    span: Span<PhysAddr>,
    before: Vec<u8>,
}

impl Evidence {
    fn before(operation: &Operation, memory: &dyn PhysMem, ram: Span<PhysAddr>) -> Option<Self> {
        let (Operation::Dma(access), Some(data)) = (operation, operation.data()) else { return None };
        let span = data.span.cast();
        let before = ram.intersect(span).filter(|part| *part == span).and_then(|_| bytes(memory, span))?;
        Some(Self { access: *access, span, before })
    }

    /// The accesses that the data give evidence of, page by page.
    fn after(&self, answer: &Answer, memory: &dyn PhysMem) -> Vec<parallax_model::Access> {
        let Some(now) = bytes(memory, self.span) else { return Vec::new() };
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
                accesses.push(parallax_model::Access {
                    agent,
                    kind,
                    span: Span::between(Ipa::new(at), Ipa::new(end)),
                    outcome,
                });
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

fn bytes(memory: &dyn PhysMem, span: Span<PhysAddr>) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(span.size).ok().filter(|size| *size <= 0x1_0000)?];
    memory.read(span.base, &mut bytes).ok()?;
    Some(bytes)
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

    #[test]
    fn a_page_that_a_hypercall_names_is_not_judged() {
        let of = |word: &str, args: &[u64]| Operation::new(parallax_ops::row(word).unwrap(), args).unwrap();
        let call = |pfn, nr| of("host_donate_hyp", &[pfn, nr]);
        let access = of("host_read", &[0x4000_1008, 8, 0]);
        assert!(names(&call(0x40001, 1), &access));
        assert!(names(&call(0x40000, 2), &access));
        assert!(names(&call(0x40000, u64::MAX), &access));
        assert!(!names(&call(0x40000, 1), &access));
        assert!(!names(&access, &access));
    }
}
