//! Whether what an operation gives back beyond its result is so: registers of a call, and events of a device's access.

use parallax_abi::mailbox::kind;
use parallax_addr::{PhysAddr, Span};
use parallax_machine::Target;
use parallax_model::{Finding, Rule, Space, Violation};
use parallax_ops::{Call, Events, Operation};
use parallax_vmsa::PhysMem;
use parallax_vmsa::mem::read_u64;

use super::expected;
use crate::judge::{Judge, Performed, StepView};

/// Bytes of a record of the event queue (IHI 0070, 7.2).
const RECORD: u64 = 32;
/// Events whose dword 2 is the input address (7.3): F_UUT, F_TRANSL_FORBIDDEN, F_WALK_EABT, F_TRANSLATION, F_ADDR_SIZE,
/// F_ACCESS, F_PERMISSION and F_TLB_CONFLICT.
const HAVE_INPUT: [u64; 8] = [0x01, 0x07, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x20];
/// Bits 29:24 of an SMCCC function id (DEN 0028, 2.5): who owns it.
const OWNER: u64 = 0x3f << 24;
/// The standard secure services, PSCI among them: they leave x1 to x3 to the caller.
const STANDARD_SECURE: u64 = 4 << 24;

/// Holds x1 to x3 of our hypervisor's calls, the registers that another one must leave to its caller, and the events of a transfer, against what they must be.
pub(super) struct Results {
    /// The machine's hypervisor is ours, so that it is known what its calls give back.
    ours: bool,
}

impl Results {
    pub(super) const fn new(target: &Target) -> Self {
        Self { ours: target.info.is_some() }
    }
}

impl Judge for Results {
    fn judge(&mut self, step: &StepView<'_>) -> Vec<Finding> {
        let after = &step.after;
        let queue = after.state.layout.evtq;
        let wrong = step.performed.iter().filter_map(|Performed { operation, answer, .. }| {
            let (rule, space, message) = match (answer.events, operation.is_device()) {
                (Some(events), true) if HAVE_INPUT.contains(&answer.response.event) => {
                    // The host's own queue is the host's to look at.
                    let queue = Some(queue).filter(|_| self.ours && !after.context.emulated);
                    (Rule::ResultEvents, Space::Smmu, event(operation, events, queue, after.memory)?)
                }
                (_, true) => return None,
                _ if !answer.disturbed.is_empty() => {
                    (Rule::ResultRegisters, Space::Regs, disturbed(&answer.disturbed))
                }
                _ if !self.ours || answer.response.kind != kind::OK => return None,
                _ => {
                    let message = registers(operation, answer.response.x, queue, after.memory)?;
                    (Rule::ResultRegisters, Space::Regs, message)
                }
            };
            let span = operation.footprint().pages.unwrap_or_default();
            let subject = if space == Space::Regs { String::new() } else { after.context.symbols.span(span) };
            let violation = Violation { rule, space, span: span.cast(), subject, message, function: None };
            Some(expected::seen(violation, operation, after.state, after.context))
        });
        wrong.collect()
    }

    fn is_of_one(&self) -> bool {
        true
    }
}

/// That the registers with these numbers are not the caller's any more.
fn disturbed(numbers: &[u8]) -> String {
    let name = |number: &u8| if *number == 31 { "SP".to_owned() } else { format!("x{number}") };
    let names: Vec<String> = numbers.iter().map(name).collect();
    format!("{}: changed by an operation that gives nothing back in it", names.join(" and "))
}

/// What is wrong with the events that came of a device's access.
fn event(
    operation: &Operation,
    events: Events,
    queue: Option<Span<PhysAddr>>,
    memory: &dyn PhysMem,
) -> Option<String> {
    let reach = operation.footprint().reach?;
    let pages = reach.span.whole_pages()?;
    let inside = pages.contains(events.address);
    if !inside {
        return Some("the first event's input address is none that the device used".to_owned());
    }
    let is_it = |[head, input]: [u64; 2]| {
        head >> 32 == u64::from(events.stream.get()) && input == events.address.get()
    };
    let recorded = queue.is_none_or(|queue| records(queue, memory).any(is_it));
    (!recorded)
        .then(|| "no record of the event queue has the first event's StreamID and input address".to_owned())
}

/// Dwords 0 and 2 of each record in the event queue at `queue`.
fn records(queue: Span<PhysAddr>, memory: &dyn PhysMem) -> impl Iterator<Item = [u64; 2]> + '_ {
    let dword = |at: u64| read_u64(memory, PhysAddr::new(at)).ok();
    (queue.base.get()..queue.end().get())
        .step_by(RECORD as usize)
        .filter_map(move |at| Some([dword(at)?, dword(at + 16)?]))
}

/// What is wrong with x0 to x3 of a call.
fn registers(
    operation: &Operation,
    x: [u64; 4],
    queue: Span<PhysAddr>,
    memory: &dyn PhysMem,
) -> Option<String> {
    let left = |from: usize| {
        let names: Vec<String> =
            (from..4).filter(|index| x[*index] != 0).map(|index| format!("x{index}")).collect();
        (!names.is_empty()).then(|| {
            format!(
                "{}: something is left there after a call that gives nothing back in it",
                names.join(" and ")
            )
        })
    };
    match operation {
        Operation::Hypercall(_) => (),
        Operation::AnyHypercall { id, .. } if id & OWNER != STANDARD_SECURE => (),
        _ => return None,
    }
    match (operation.call(), x) {
        (Some(Call::SmmuReadEvent {}), [0, 0, head, input]) => {
            let there = head != 0 && records(queue, memory).any(|record| record == [head, input]);
            (!there).then(|| "x2 and x3 are dwords 0 and 2 of no record of the event queue".to_owned())
        }
        (Some(_), _) => left(2),
        (None, _) => left(1),
    }
}

#[cfg(test)]
mod tests {
    use parallax_addr::{Ipa, StreamId};
    use parallax_ops::row;
    use parallax_vmsa::SparseMem;

    use super::*;

    fn operation(word: &str, args: &[u64]) -> Operation {
        Operation::new(row(word).unwrap(), args).unwrap()
    }

    #[test]
    fn an_event_names_an_address_that_the_device_used() {
        let transfer = operation("dma_read", &[8, 0x4000_0ff8, 16]);
        let at = |address| Events { count: 1, stream: StreamId::new(8), address: Ipa::new(address) };
        let memory = SparseMem::default();
        let wrong = |address| event(&transfer, at(address), None, &memory);
        assert_eq!(wrong(0x4000_0ff8), None);
        assert_eq!(wrong(0x4000_1000), None, "its second page");
        assert!(wrong(0).is_some() && wrong(0x4000_2000).is_some());
    }

    #[test]
    fn a_register_that_was_changed_is_named() {
        assert_eq!(disturbed(&[2, 31]), "x2 and SP: changed by an operation that gives nothing back in it");
    }

    #[test]
    fn an_event_is_one_that_was_recorded() {
        let transfer = operation("dma_read", &[8, 0x4000_0ff8, 16]);
        let queue = Some(Span::new(PhysAddr::new(0x9000), 0x1000));
        let mut memory = SparseMem::default();
        memory.write_u64(PhysAddr::new(0x9040), 0x8_0000_0010);
        memory.write_u64(PhysAddr::new(0x9050), 0x4000_0ff8);
        let wrong = |stream, address| {
            let events = Events { count: 1, stream: StreamId::new(stream), address: Ipa::new(address) };
            event(&transfer, events, queue, &memory)
        };
        assert_eq!(wrong(8, 0x4000_0ff8), None);
        assert!(wrong(8, 0x4000_0000).is_some(), "its low bits");
        assert!(wrong(16, 0x4000_0ff8).is_some());
    }

    #[test]
    fn a_call_leaves_nothing_where_it_gives_nothing_back() {
        let queue = Span::new(PhysAddr::new(0x9000), 0x1000);
        let mut memory = SparseMem::default();
        memory.write_u64(PhysAddr::new(0x9040), 0x8_0000_0010);
        memory.write_u64(PhysAddr::new(0x9050), 0x4000_0000);
        let wrong = |operation: &Operation, x| registers(operation, x, queue, &memory);
        let share = operation("host_share_hyp", &[0x40010]);
        assert_eq!(wrong(&share, [0, -1_i64 as u64, 0, 0]), None);
        assert!(wrong(&share, [0, 0, 0, 7]).unwrap().starts_with("x3: "));
        let unknown = operation("hypercall", &[0xc600_00fe, 1, 2, 3, 0, 0, 0]);
        assert_eq!(wrong(&unknown, [-1_i64 as u64, 0, 0, 0]), None);
        assert!(wrong(&unknown, [-1_i64 as u64, 1, 2, 3]).unwrap().starts_with("x1 and x2 and x3: "));
        let psci = operation("hypercall", &[0x8400_0000, 1, 2, 3, 0, 0, 0]);
        assert_eq!(wrong(&psci, [0x10001, 1, 2, 3]), None);
        let read = operation("smmu_read_event", &[]);
        assert_eq!(wrong(&read, [0, 0, 0x8_0000_0010, 0x4000_0000]), None);
        assert!(wrong(&read, [0, 0, 0x8_0000_0010, 0]).is_some());
        assert!(wrong(&read, [0, 0, 0, 0]).is_some(), "a slot that nothing was recorded in");
        assert_eq!(wrong(&read, [0, -2_i64 as u64, 0, 0]), None, "the queue is empty");
    }
}
