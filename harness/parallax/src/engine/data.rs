//! Whether data went where it should: what was written is in RAM, what was refused is not, what was read is what
//! RAM holds.
//!
//! The tables say what an access may do; the bytes say what it did. A device that reaches a page through a stale
//! translation is caught here even if every table is right.

use parallax_abi::mailbox::{Request, Response, op};
use parallax_model::{AddressMap, Rule, Space, Span, Violation};
use parallax_vmsa::PhysMem;

use crate::trace::Outcome;

/// A page, in bytes.
const PAGE: u64 = 0x1000;

/// What RAM held where an operation is about to reach. Host addresses are physical addresses: the host's stage 2 is
/// an identity.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    span: Span,
    before: Vec<u8>,
}

impl Watch {
    /// Looks at the bytes that `request` will touch; nothing if it touches no data or no RAM.
    pub(super) fn before(request: &Request, memory: &dyn PhysMem, ram: Span) -> Option<Self> {
        let [first, second, third, ..] = request.args;
        let span = match request.op {
            op::READ | op::WRITE => Span::new(first, second),
            op::DMA_READ | op::DMA_WRITE => Span::new(second, third),
            _ => return None,
        };
        let inside = ram.contains(span.base) && span.size <= ram.end() - span.base;
        let before = inside.then(|| read(memory, span)).flatten()?;
        Some(Self { span, before })
    }

    /// What is wrong with the bytes now that the operation is over.
    pub(super) fn after(
        &self,
        request: &Request,
        response: &Response,
        outcome: &Outcome,
        memory: &dyn PhysMem,
        symbols: &AddressMap,
    ) -> Vec<Violation> {
        let Some(now) = read(memory, self.span) else { return Vec::new() };
        let wrong = match (request.op, outcome) {
            (op::WRITE, Outcome::Ok { .. }) => {
                !now.iter().eq(request.args[2].to_le_bytes().iter().take(now.len()))
            }
            (op::DMA_WRITE, Outcome::Ok { .. }) => {
                !now.iter().eq(request.args[3].to_le_bytes().iter().cycle().take(now.len()))
            }
            (op::READ | op::DMA_READ, Outcome::Ok { value: Some(value) }) => {
                !self.before.iter().take(8).eq(value.to_le_bytes().iter().take(self.before.len().min(8)))
            }
            (op::WRITE, _) => now != self.before,
            (op::DMA_WRITE, Outcome::Abort) => self.refused_page_changed(response, &now),
            _ => false,
        };
        let (rule, message) = match (request.op, outcome) {
            (op::READ | op::DMA_READ, _) => (Rule::AccessDataRead, "what was read is not what memory holds"),
            (_, Outcome::Ok { .. }) => (Rule::AccessDataWritten, "what was written is not in memory"),
            _ => (Rule::AccessDataRefused, "memory changed although the write was refused"),
        };
        let space = if matches!(request.op, op::READ | op::WRITE) { Space::Cpu } else { Space::Smmu };
        let claim = Violation {
            rule,
            space,
            span: self.span,
            subject: symbols.span(self.span),
            message: message.to_owned(),
            function: None,
        };
        if wrong { vec![claim] } else { Vec::new() }
    }

    /// A refused write may have reached the pages in front of the one that was refused. Every page has one event:
    /// if there are as many events as pages, none may have changed; if not, the page of the first event.
    fn refused_page_changed(&self, response: &Response, now: &[u8]) -> bool {
        let page = |address: u64| address / PAGE;
        let pages = page(self.span.end() - 1) - page(self.span.base) + 1;
        let refused = |address: u64| response.events >= pages || page(address) == page(response.event_addr);
        let changed =
            now.iter().zip(&self.before).zip(self.span.base..).filter(|((now, before), _)| now != before);
        changed.map(|(_, address)| address).any(refused)
    }
}

fn read(memory: &dyn PhysMem, span: Span) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(span.size).ok().filter(|size| *size <= 0x1_0000)?];
    memory.read(span.base, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

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
        fn read(&self, pa: u64, buf: &mut [u8]) -> Result<(), MemError> {
            let at = usize::try_from(pa - RAM.base).unwrap();
            buf.copy_from_slice(&self.0.borrow()[at..at + buf.len()]);
            Ok(())
        }
    }

    fn dma_write(ipa: u64, len: u64, value: u64) -> Request {
        Request { cpu: 0, op: op::DMA_WRITE, args: [8, ipa, len, value, 0, 0, 0] }
    }

    /// Rules found when `change` happens during `request` and it ends with `outcome`.
    fn rules(
        request: Request,
        response: Response,
        outcome: Outcome,
        change: impl Fn(&Ram),
    ) -> Vec<&'static str> {
        let ram = Ram::new();
        let watch = Watch::before(&request, &ram, RAM).unwrap();
        change(&ram);
        let claims = watch.after(&request, &response, &outcome, &ram, &AddressMap::default());
        claims.iter().map(|claim| claim.rule.name()).collect()
    }

    #[test]
    fn a_write_that_succeeded_must_be_in_memory() {
        let done = || Outcome::Ok { value: None };
        let request = dma_write(0x4000_0ffc, 12, 0x0807_0605_0403_0201);
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4];
        assert!(rules(request, Response::default(), done(), |ram| ram.put(0x4000_0ffc, &bytes)).is_empty());
        assert_eq!(rules(request, Response::default(), done(), |_| ()), ["data-written"]);
    }

    #[test]
    fn a_write_that_was_refused_must_not() {
        let refused = Response { events: 1, event_addr: 0x4000_0000, ..Response::default() };
        let request = dma_write(0x4000_0000, 8, 1);
        assert!(rules(request, refused, Outcome::Abort, |_| ()).is_empty());
        assert_eq!(
            rules(request, refused, Outcome::Abort, |ram| ram.put(0x4000_0000, &[1])),
            ["data-refused"]
        );
    }

    #[test]
    fn of_two_pages_only_the_refused_one_must_be_untouched() {
        let second = Response { events: 1, event_addr: 0x4000_1000, ..Response::default() };
        let request = dma_write(0x4000_0ff8, 16, 1);
        assert!(rules(request, second, Outcome::Abort, |ram| ram.put(0x4000_0ff8, &[1])).is_empty());
        assert_eq!(
            rules(request, second, Outcome::Abort, |ram| ram.put(0x4000_1000, &[1])),
            ["data-refused"]
        );
        let both = Response { events: 2, event_addr: 0x4000_0ff8, ..Response::default() };
        assert_eq!(rules(request, both, Outcome::Abort, |ram| ram.put(0x4000_1000, &[1])), ["data-refused"]);
    }

    #[test]
    fn what_is_read_must_be_what_memory_holds() {
        let request = Request { cpu: 0, op: op::READ, args: [0x4000_0010, 4, 0, 0, 0, 0, 0] };
        let value = |value| Outcome::Ok { value: Some(value) };
        assert!(rules(request, Response::default(), value(0), |_| ()).is_empty());
        assert_eq!(rules(request, Response::default(), value(7), |_| ()), ["data-read"]);
    }

    #[test]
    fn what_is_outside_of_memory_is_not_watched() {
        let request = Request { cpu: 0, op: op::READ, args: [0x0900_0000, 4, 0, 0, 0, 0, 0] };
        assert!(Watch::before(&request, &Ram::new(), RAM).is_none());
        assert!(Watch::before(&dma_write(0x4000_3ffc, 8, 0), &Ram::new(), RAM).is_none());
    }
}
