//! From operations and answers to what the model judges: who accessed what, and whether translation let it pass.

use parallax_model::{
    Access as ModelAccess, AccessKind, Agent, Context, Finding, Outcome as Passage, Snapshot, check_access,
};
use parallax_ops::{self as ops, Answer, CpuAccess, Operation, Order, Outcome, ReachKind};

use crate::judge::{Judge, StepView};

/// Holds the way in which every access ended against the tables. Of operations that are looked at together, a CPU's
/// access counts unless a hypercall among them names its page: what held in the meantime cannot be seen. A device's is
/// [`Evidence`](super::evidence::Evidence)'s then.
pub(super) struct Access;

impl Judge for Access {
    fn judge(&mut self, step: &StepView<'_>) -> Vec<Finding> {
        let StepView { performed, order, before, after } = step;
        let seen = performed.iter().filter(|one| match order {
            Order::InTurn => true,
            Order::Together | Order::AtOnce => {
                let named = || performed.iter().any(|other| names(other.operation, one.operation));
                !one.operation.is_device() && !named()
            }
        });
        seen.flat_map(|one| check(one.operation, one.answer, before, after.state, after.context)).collect()
    }
}

/// Whether hypercall `call` may have changed who has the page that `access` reaches.
fn names(call: &Operation, access: &Operation) -> bool {
    let pages = |operation: &Operation| operation.footprint().pages;
    call.call().is_some()
        && pages(call).zip(pages(access)).is_some_and(|(named, reached)| named.overlaps(reached))
}

/// What is wrong with the way in which an access ended; nothing if `operation` is none.
fn check(
    operation: &Operation,
    answer: &Answer,
    before: &Snapshot,
    after: &Snapshot,
    context: &Context,
) -> Vec<Finding> {
    let access = access(operation, answer);
    access.map_or_else(Vec::new, |access| check_access(&access, before, after, context))
}

/// The agent as the model has it.
pub(super) const fn agent(agent: ops::Agent) -> Agent {
    match agent {
        ops::Agent::Cpu => Agent::Cpu,
        ops::Agent::Device(sid) => Agent::Device(sid.get()),
    }
}

/// The kind of access as the model has it.
pub(super) const fn kind(kind: ReachKind) -> AccessKind {
    match kind {
        ReachKind::Read => AccessKind::Read,
        ReachKind::Write => AccessKind::Write,
        ReachKind::Execute => AccessKind::Execute,
    }
}

fn access(operation: &Operation, answer: &Answer) -> Option<ModelAccess> {
    let footprint = operation.footprint();
    let reach = footprint.reach?;
    let outcome = passage(operation, answer)?;
    Some(ModelAccess { agent: agent(footprint.agent), kind: kind(reach.kind), span: reach.span, outcome })
}

/// Whether translation let an access pass, where that can be told.
fn passage(operation: &Operation, answer: &Answer) -> Option<Passage> {
    let is = |access: fn(&CpuAccess) -> bool| matches!(operation, Operation::Access(one) if access(one));
    match answer.outcome {
        // The page is read as a table; the walk goes on with what stands in it, and faults at stage 1.
        Outcome::Abort
            if is(|one| matches!(one, CpuAccess::Walk { .. })) && !answer.syndrome.is_on_walk() =>
        {
            Some(Passage::Passed)
        }
        Outcome::Abort if operation.is_device() => Some(Passage::Refused),
        Outcome::Abort if answer.syndrome.is_of_translation() => Some(Passage::Refused),
        // A CPU without the instruction.
        Outcome::Undefined if is(|one| matches!(one, CpuAccess::Swap { .. })) => None,
        Outcome::Ok { .. } | Outcome::Bus | Outcome::Undefined => Some(Passage::Passed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use parallax_abi::mailbox::Response;
    use parallax_addr::Ipa;
    use parallax_model::Span;
    use parallax_ops::{Syndrome, row};

    use super::*;

    fn of(word: &str, args: &[u64], esr: u64, outcome: Outcome) -> Option<ModelAccess> {
        let operation = Operation::new(row(word).unwrap(), args).unwrap();
        let answer = Answer {
            outcome,
            read: Vec::new(),
            syndrome: Syndrome::new(esr),
            events: None,
            response: Response::default(),
            disturbed: Vec::new(),
        };
        access(&operation, &answer)
    }

    #[test]
    fn devices_and_cpus_are_told_apart() {
        let cpu = of("host_write", &[0x1000, 4, 7, 0], 0, Outcome::Ok { value: None }).unwrap();
        assert_eq!(
            (cpu.agent, cpu.kind, cpu.span),
            (Agent::Cpu, AccessKind::Write, Span::new(Ipa::new(0x1000), 4))
        );
        let device = of("dma_read", &[8, 0x2000, 16], 0, Outcome::Abort).unwrap();
        assert_eq!(device.agent, Agent::Device(8));
        assert_eq!((device.span, device.outcome), (Span::new(Ipa::new(0x2000), 16), Passage::Refused));
    }

    #[test]
    fn a_page_that_a_hypercall_names_is_not_judged() {
        let of = |word: &str, args: &[u64]| Operation::new(row(word).unwrap(), args).unwrap();
        let call = |pfn, nr| of("host_donate_hyp", &[pfn, nr]);
        let access = of("host_read", &[0x4000_1008, 8, 0]);
        assert!(names(&call(0x40001, 1), &access));
        assert!(names(&call(0x40000, 2), &access));
        assert!(names(&call(0x40000, u64::MAX), &access));
        assert!(!names(&call(0x40000, 1), &access));
        assert!(!names(&access, &access));
    }

    #[test]
    fn a_walk_passed_if_the_fault_is_stage_ones_own() {
        let walk = |esr| of("host_walk", &[0x1008], esr, Outcome::Abort).unwrap();
        assert_eq!(walk(0x9600_0004).outcome, Passage::Passed);
        assert_eq!(walk(0x9600_0084).outcome, Passage::Refused);
        assert_eq!(walk(0x9600_0084).span, Span::new(Ipa::new(0x1000), 0x1000));
    }

    #[test]
    fn what_says_nothing_of_translation_is_not_judged() {
        assert_eq!(of("host_read", &[0x1001, 4, 0], 0x9600_0021, Outcome::Abort), None);
        assert_eq!(of("dma_read", &[8, 0x1000, 8], 0, Outcome::NoDevice), None);
        assert_eq!(of("host_read", &[u64::MAX, 8, 0], 0x9600_0004, Outcome::Abort), None);
        assert_eq!(of("host_share_hyp", &[0], 0, Outcome::Ok { value: None }), None);
        let bus = of("host_read", &[0x80_0000_0000, 8, 0], 0x9600_0010, Outcome::Bus).unwrap();
        assert_eq!(bus.outcome, Passage::Passed);
    }
}
