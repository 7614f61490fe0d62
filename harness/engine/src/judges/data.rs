//! Whether data went where it should: what was written is in RAM, what was refused is not, what was read is what
//! RAM holds.
//!
//! The tables say what an access may do; the bytes say what it did. A device that reaches a page through a stale
//! translation is caught here even if every table is right.

use std::ops::Range;

use parallax_addr::{PAGE_SIZE, PhysAddr};
use parallax_model::{AddressMap, Finding, Rule, Snapshot, Space, Span, Violation};
use parallax_ops::{self as ops, Answer, Batch, CpuAccess, Operation, Order, Outcome, Written};
use parallax_vmsa::PhysMem;

use super::expected;
use crate::judge::{Judge, Performed, StepView};

/// Holds every access that moves data, and is looked at by itself, against memory.
pub(super) struct Data {
    ram: Span<PhysAddr>,
    before: Option<Before>,
}

impl Data {
    /// For a machine with this memory.
    pub(super) const fn new(ram: Span<PhysAddr>) -> Self {
        Self { ram, before: None }
    }
}

impl Judge for Data {
    fn before(&mut self, batch: &Batch, memory: &dyn PhysMem) {
        self.before = match &batch.ops[..] {
            [(_, operation)] if batch.order == Order::InTurn => Before::of(operation, memory, self.ram),
            _ => None,
        };
    }

    fn judge(&mut self, step: &StepView<'_>) -> Vec<Finding> {
        let StepView { performed, before: before_state, after, .. } = step;
        let (Some(before), [one]) = (self.before.take(), performed) else { return Vec::new() };
        let Performed { operation, answer, .. } = one;
        // What GBPA aborts leaves no record (IHI 0070, 3.11), so the outcome says nothing.
        let closed = operation.is_device() && before_state.is_closed() && after.state.is_closed();
        let violations = match closed {
            true => before.closed(after.memory, &after.context.symbols),
            // What is refused leaves no record either where there is no event queue.
            false if is_unheard(operation, after.state) && before.arrived_by_page(answer, after.memory) => {
                Vec::new()
            }
            false => before.after(operation, answer, after.memory, &after.context.symbols),
        };
        let seen = |violation| expected::seen(violation, operation, after.state, after.context);
        violations.into_iter().map(seen).collect()
    }
}

/// Whether nobody hears of it when the access of a device is refused.
fn is_unheard(operation: &Operation, state: &Snapshot) -> bool {
    operation.is_device() && state.smmu.as_ref().is_some_and(|smmu| !smmu.control.evtq_enabled)
}

/// What RAM held where an operation is about to reach. Host addresses are physical addresses: the host's stage 2 is
/// an identity.
#[derive(Clone, Debug)]
struct Before {
    data: ops::Data,
    before: Vec<u8>,
}

impl Before {
    /// Looks at the bytes that `operation` will touch; nothing if it touches no data or no RAM.
    fn of(operation: &Operation, memory: &dyn PhysMem, ram: Span<PhysAddr>) -> Option<Self> {
        let data = operation.data()?;
        let place = data.span.cast();
        let before = ram.intersect(place).filter(|part| *part == place).and_then(|_| read(memory, place))?;
        Some(Self { data, before })
    }

    /// Whether a device's access that ended well moved nothing in some of its pages, as one does that was refused there without a word,
    /// and all in the others.
    fn arrived_by_page(&self, answer: &Answer, memory: &dyn PhysMem) -> bool {
        let Some(now) = read(memory, self.data.span.cast()) else { return false };
        let told: Vec<u8> = answer.read.iter().flat_map(|value| value.to_le_bytes()).collect();
        let ended = matches!(answer.outcome, Outcome::Ok { .. });
        ended
            && self.pages().all(|page| {
                let (now, before) = (&now[page.clone()], &self.before[page.clone()]);
                match &self.data.written {
                    Some(Written::Bytes(bytes)) => {
                        now == before || now.iter().eq(bytes.iter().cycle().skip(page.start).take(now.len()))
                    }
                    Some(_) => now == before,
                    None => {
                        let told = &told[page.start.min(told.len())..page.end.min(told.len())];
                        told.iter().all(|byte| *byte == 0)
                            || told.iter().zip(before).all(|(told, held)| told == held)
                    }
                }
            })
    }

    /// Its bytes, page by page, from the first one on.
    fn pages(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (base, len) = (self.data.span.base.get(), self.before.len());
        let first = (PAGE_SIZE - base % PAGE_SIZE) as usize;
        let borders = (first..len).step_by(PAGE_SIZE as usize);
        std::iter::once(0).chain(borders.clone()).zip(borders.chain([len])).map(|(from, to)| from..to)
    }

    /// What is wrong with the bytes now that the operation is over.
    fn after(
        &self,
        operation: &Operation,
        answer: &Answer,
        memory: &dyn PhysMem,
        symbols: &AddressMap,
    ) -> Vec<Violation> {
        let Some(now) = read(memory, self.data.span.cast()) else { return Vec::new() };
        let device = operation.is_device();
        let mut wrong = Vec::new();
        match &answer.outcome {
            Outcome::Ok { .. } => {
                if !self.data.agrees(answer, &self.before) {
                    wrong.push((Rule::AccessDataRead, "what was read is not what memory holds"));
                }
                if self.data.written.as_ref().is_some_and(|written| !written.is_in(&now, &self.before)) {
                    wrong.push((Rule::AccessDataWritten, "what was written is not in memory"));
                }
            }
            outcome if self.data.written.is_some() => {
                let changed = match (device, outcome) {
                    (true, Outcome::Abort) => self.refused_page_changed(answer, &now),
                    (true, _) => false,
                    (false, _) => now != self.before && !self.may_be_torn(operation),
                };
                if changed {
                    wrong.push((Rule::AccessDataRefused, "memory changed although the write was refused"));
                }
            }
            _ => (),
        }
        wrong.into_iter().map(|broken| self.violation(broken, device, symbols)).collect()
    }

    /// What is wrong with the bytes after an SMMU that aborts everything, and records nothing, was to refuse.
    fn closed(&self, memory: &dyn PhysMem, symbols: &AddressMap) -> Vec<Violation> {
        let now = read(memory, self.data.span.cast());
        let broken = (Rule::AccessDataRefused, "a device wrote memory although the SMMU aborts everything");
        let changed = now.filter(|now| *now != self.before);
        changed.map(|_| self.violation(broken, true, symbols)).into_iter().collect()
    }

    fn violation(&self, (rule, message): (Rule, &str), device: bool, symbols: &AddressMap) -> Violation {
        Violation {
            rule,
            space: if device { Space::Smmu } else { Space::Cpu },
            span: self.data.span.cast(),
            subject: symbols.span(self.data.span),
            message: message.to_owned(),
            function: None,
        }
    }

    /// Whether a refused write may have been done in part: two CPUs took turns, or two registers went to two pages.
    fn may_be_torn(&self, operation: &Operation) -> bool {
        let two_pages = self.data.span.whole_pages().is_some_and(|pages| pages.size > PAGE_SIZE);
        match operation {
            Operation::Access(CpuAccess::Race { .. }) => true,
            Operation::Access(CpuAccess::WritePair { .. }) => two_pages,
            _ => false,
        }
    }

    /// A refused write may have reached the pages in front of the one that was refused. Every page has one event:
    /// if there are as many events as pages, none may have changed; if not, the page of the first event.
    fn refused_page_changed(&self, answer: &Answer, now: &[u8]) -> bool {
        let page = |address: u64| address / PAGE_SIZE;
        let span = self.data.span;
        let pages = page(span.end().get() - 1) - page(span.base.get()) + 1;
        let Some(events) = answer.events else { return false };
        let refused = |address: u64| events.count >= pages || page(address) == page(events.address.get());
        let changed =
            now.iter().zip(&self.before).zip(span.base.get()..).filter(|((now, before), _)| now != before);
        changed.map(|(_, address)| address).any(refused)
    }
}

/// The bytes in `span`, 64 KiB at most.
pub(super) fn read(memory: &dyn PhysMem, span: Span<PhysAddr>) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(span.size).ok().filter(|size| *size <= 0x1_0000)?];
    memory.read(span.base, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use parallax_abi::mailbox::{Response, kind};
    use parallax_ops::row;
    use parallax_vmsa::MemError;

    use super::*;

    const RAM: Span = Span::new(0x4000_0000, 0x4000);

    struct Ram(RefCell<Vec<u8>>);

    impl Ram {
        fn new() -> Self {
            Self(RefCell::new(vec![0; 0x4000]))
        }

        fn put(&self, address: u64, bytes: &[u8]) {
            let at = usize::try_from(address - RAM.base).unwrap();
            self.0.borrow_mut()[at..at + bytes.len()].copy_from_slice(bytes);
        }
    }

    impl PhysMem for Ram {
        fn read(&self, pa: PhysAddr, buf: &mut [u8]) -> Result<(), MemError> {
            let at = usize::try_from(pa.get() - RAM.base).unwrap();
            buf.copy_from_slice(&self.0.borrow()[at..at + buf.len()]);
            Ok(())
        }
    }

    fn operation(word: &str, args: &[u64]) -> Operation {
        Operation::new(row(word).unwrap(), args).unwrap()
    }

    fn dma_write(ipa: u64, len: u64, value: u64) -> Operation {
        operation("dma_write", &[8, ipa, len, value])
    }

    fn response(kind: u64) -> Response {
        Response { kind, ..Response::default() }
    }

    /// Rules found when `change` happens during `operation` and it is answered with `response`.
    fn rules(operation: Operation, response: Response, change: impl Fn(&Ram)) -> Vec<&'static str> {
        let ram = Ram::new();
        let before = Before::of(&operation, &ram, RAM.cast()).unwrap();
        change(&ram);
        let answer = Answer::of(&operation, &response);
        let violations = before.after(&operation, &answer, &ram, &AddressMap::default());
        violations.iter().map(|violation| violation.rule.name()).collect()
    }

    #[test]
    fn behind_a_closed_smmu_no_write_is_in_memory() {
        let ram = Ram::new();
        let before = Before::of(&dma_write(0x4000_0100, 8, 7), &ram, RAM.cast()).unwrap();
        assert!(before.closed(&ram, &AddressMap::default()).is_empty());
        ram.put(0x4000_0100, &[7]);
        let found = before.closed(&ram, &AddressMap::default());
        assert_eq!(found[0].rule, Rule::AccessDataRefused);
    }

    #[test]
    fn a_write_that_succeeded_must_be_in_memory() {
        let request = dma_write(0x4000_0ffc, 12, 0x0807_0605_0403_0201);
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4];
        assert!(rules(request, response(kind::OK), |ram| ram.put(0x4000_0ffc, &bytes)).is_empty());
        assert_eq!(rules(request, response(kind::OK), |_| ()), ["data-written"]);
    }

    #[test]
    fn without_an_event_queue_a_write_may_be_lost_in_a_page_and_not_in_part() {
        let ram = Ram::new();
        let write = dma_write(0x4000_0100, 8, 0x0807_0605_0403_0201);
        let before = Before::of(&write, &ram, RAM.cast()).unwrap();
        let answer = Answer::of(&write, &response(kind::OK));
        assert!(before.arrived_by_page(&answer, &ram));
        ram.put(0x4000_0100, &[1, 2]);
        assert!(!before.arrived_by_page(&answer, &ram));
        let write = dma_write(0x4000_0ff8, 16, 0x0807_0605_0403_0201);
        let before = Before::of(&write, &ram, RAM.cast()).unwrap();
        let answer = Answer::of(&write, &response(kind::OK));
        ram.put(0x4000_1000, &[1, 2, 3, 4, 5, 6, 7, 8]);
        assert!(before.arrived_by_page(&answer, &ram));
        ram.put(0x4000_0ff8, &[1, 2]);
        assert!(!before.arrived_by_page(&answer, &ram));
        ram.put(0x4000_0ff8, &[1, 2, 3, 4, 5, 6, 7, 8]);
        assert!(before.arrived_by_page(&answer, &ram));
        let read = operation("dma_read", &[8, 0x4000_0100, 8]);
        let before = Before::of(&read, &ram, RAM.cast()).unwrap();
        let read_something = Response { x: [7, 0, 0, 0], ..response(kind::OK) };
        assert!(before.arrived_by_page(&Answer::of(&read, &response(kind::OK)), &ram));
        assert!(!before.arrived_by_page(&Answer::of(&read, &read_something), &ram));
    }

    #[test]
    fn a_write_that_was_refused_must_not() {
        let refused = Response { events: 1, event_addr: 0x4000_0000, ..response(kind::ABORT) };
        let request = dma_write(0x4000_0000, 8, 1);
        assert!(rules(request, refused, |_| ()).is_empty());
        assert_eq!(rules(request, refused, |ram| ram.put(0x4000_0000, &[1])), ["data-refused"]);
    }

    #[test]
    fn of_two_pages_only_the_refused_one_must_be_untouched() {
        let second = Response { events: 1, event_addr: 0x4000_1000, ..response(kind::ABORT) };
        let request = dma_write(0x4000_0ff8, 16, 1);
        assert!(rules(request, second, |ram| ram.put(0x4000_0ff8, &[1])).is_empty());
        assert_eq!(rules(request, second, |ram| ram.put(0x4000_1000, &[1])), ["data-refused"]);
        let both = Response { events: 2, event_addr: 0x4000_0ff8, ..response(kind::ABORT) };
        assert_eq!(rules(request, both, |ram| ram.put(0x4000_1000, &[1])), ["data-refused"]);
    }

    #[test]
    fn what_is_read_must_be_what_memory_holds() {
        let request = operation("host_read", &[0x4000_0010, 4, 0]);
        let value = |value| Response { x: [value, 0, 0, 0], ..response(kind::OK) };
        assert!(rules(request, value(0), |_| ()).is_empty());
        assert_eq!(rules(request, value(7), |_| ()), ["data-read"]);
    }

    #[test]
    fn swaps_pairs_and_atomics_are_looked_at_too() {
        let at = 0x4000_0010;
        let value = |value| Response { x: [value, 0, 0, 0], ..response(kind::OK) };
        let swap = operation("host_swap", &[at, 5]);
        assert!(rules(swap, value(0), |ram| ram.put(at, &[5])).is_empty());
        assert_eq!(rules(swap, value(7), |ram| ram.put(at, &[5])), ["data-read"]);
        assert_eq!(rules(swap, value(7), |_| ()), ["data-read", "data-written"]);
        assert_eq!(rules(swap, response(kind::ABORT), |ram| ram.put(at, &[5])), ["data-refused"]);
        let atomic = operation("host_atomic", &[at]);
        assert!(rules(atomic, value(0), |_| ()).is_empty());
        assert_eq!(rules(atomic, value(0), |ram| ram.put(at, &[1])), ["data-written"]);
        let pair = operation("host_write_pair", &[at, 1, 2]);
        assert_eq!(rules(pair, value(0), |ram| ram.put(at, &[1])), ["data-written"]);
        assert_eq!(rules(pair, response(kind::ABORT), |ram| ram.put(at, &[1])), ["data-refused"]);
        let entry = operation("host_write_entry", &[0x4000_0020, 1, 0, 0, 4]);
        assert!(
            rules(entry, value(0), |ram| [(0x20, 1), (0x38, 4)]
                .iter()
                .for_each(|(o, v)| ram.put(RAM.base + o, &[*v])))
            .is_empty()
        );
        assert_eq!(rules(entry, value(0), |ram| ram.put(0x4000_0038, &[4])), ["data-written"]);
        assert_eq!(rules(entry, response(kind::ABORT), |ram| ram.put(0x4000_0038, &[4])), ["data-refused"]);
        let race = operation("host_race", &[at, 1, 2, at, 0, 1]);
        assert!(rules(race, value(9), |ram| ram.put(at, &[2])).is_empty());
        assert_eq!(rules(race, value(9), |ram| ram.put(at, &[3])), ["data-written"]);
    }

    #[test]
    fn what_is_outside_of_memory_is_not_looked_at() {
        let request = operation("host_read", &[0x0900_0000, 4, 0]);
        assert!(Before::of(&request, &Ram::new(), RAM.cast()).is_none());
        assert!(Before::of(&dma_write(0x4000_3ffc, 8, 0), &Ram::new(), RAM.cast()).is_none());
    }
}
