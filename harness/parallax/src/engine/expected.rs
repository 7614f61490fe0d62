//! Whether an operation ended as the trace says that it must.

use parallax_abi::hypercall;
use parallax_abi::mailbox::{Request, op};
use parallax_model::{Context, Finding, Rule, Side, Snapshot, Space, Span, Violation, canonical};

use crate::trace::{Op, Outcome};

/// A page, in bytes.
const PAGE: u64 = 0x1000;

/// The finding that the result of `op` is not the expected one, as `state` is now.
pub(super) fn check(
    op: &Op,
    (request, outcome): (&Request, &Outcome),
    state: &Snapshot,
    context: &Context,
) -> Option<Finding> {
    let expected = op.expect.as_ref().filter(|expected| !expected.admits(outcome))?;
    let with_value = matches!(expected, Outcome::Ok { value: Some(_) });
    let actual = if with_value { outcome.clone() } else { outcome.clone().without_value() };
    let message = format!("expected {expected}, got {actual}");
    let (space, span, message) = match (pages(request), device(request)) {
        (Some(pages), Some(sid)) if behind_stage1(sid, state) => {
            // What it is in the host's addresses is in the host's own table, which a snapshot does not hold.
            let message = format!("{message}, at {:#x} of the device's own stage 1", pages.base);
            (Space::Ste, Span::new(sid, 1), message)
        }
        (Some(pages), Some(_)) => (Space::Smmu, pages, message),
        (Some(pages), None) => (Space::Cpu, pages, message),
        (None, _) => (Space::Regs, Span::default(), message),
    };
    let subject = match space {
        Space::Ste => canonical::stream_ids(span),
        Space::Regs => String::new(),
        _ => context.symbols.span(span),
    };
    let rule = Rule::ResultExpected;
    let claim = Violation { rule, space, span, subject, message, function: None };
    Some(seen(claim, request, state, context))
}

/// Whether the host has a stage 1 of its own for stream `sid`.
fn behind_stage1(sid: u64, state: &Snapshot) -> bool {
    let stream = state.smmu.as_ref().zip(u32::try_from(sid).ok()).and_then(|(smmu, sid)| smmu.stream(sid));
    stream.is_some_and(|stream| stream.config().stage1())
}

/// `claim` about an operation's result as `state` is now, with the device that the operation made work.
pub(super) fn seen(claim: Violation, request: &Request, state: &Snapshot, context: &Context) -> Finding {
    let found = claim.in_state(state, context);
    match device(request) {
        Some(sid) => found.with(Side::Device, canonical::stream_ids(Span::new(sid, 1))),
        None => found,
    }
}

/// The StreamID of the device that `request` makes work.
const fn device(request: &Request) -> Option<u64> {
    match request.op {
        op::DMA_READ | op::DMA_WRITE => Some(request.args[0]),
        _ => None,
    }
}

/// The whole pages that `request` names, if it names any that can be.
fn pages(request: &Request) -> Option<Span> {
    use hypercall::{
        HOST_DONATE_HYP, HOST_DONATE_HYP_MMIO, HOST_SHARE_HYP, HOST_UNSHARE_HYP, HYP_DONATE_HOST,
        HYP_DONATE_HOST_MMIO, HYP_PIN_SHARED_MEM, HYP_UNPIN_SHARED_MEM,
    };
    let [first, second, third, ..] = request.args;
    let span = match (request.op, first) {
        (op::HYPERCALL, HOST_SHARE_HYP | HOST_UNSHARE_HYP) => Span::new(second.checked_mul(PAGE)?, PAGE),
        (
            op::HYPERCALL,
            HYP_PIN_SHARED_MEM | HYP_UNPIN_SHARED_MEM | HOST_DONATE_HYP | HYP_DONATE_HOST
            | HOST_DONATE_HYP_MMIO | HYP_DONATE_HOST_MMIO,
        ) => Span::new(second.checked_mul(PAGE)?, third.max(1).saturating_mul(PAGE)),
        (op::DMA_READ | op::DMA_WRITE, _) => Span::new(second, third.max(1)),
        (op::READ | op::WRITE, _) => Span::new(first, second.max(1)),
        (op::EXEC | op::READ_PAIR | op::WRITE_PAIR | op::SWAP | op::RACE | op::WALK | op::ATOMIC, _) => {
            Span::new(first, 1)
        }
        _ => return None,
    };
    let end = span.end().checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
    Some(Span::between(span.base & !(PAGE - 1), end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(op: u64, args: [u64; 3]) -> Option<(u64, u64)> {
        let [a, b, c] = args;
        pages(&Request { cpu: 0, op, args: [a, b, c, 0, 0, 0, 0] }).map(|span| (span.base, span.end()))
    }

    #[test]
    fn operations_name_their_pages() {
        assert_eq!(
            named(op::HYPERCALL, [hypercall::HOST_SHARE_HYP, 0x40010, 7]),
            Some((0x4001_0000, 0x4001_1000))
        );
        assert_eq!(
            named(op::HYPERCALL, [hypercall::HOST_DONATE_HYP, 0x40010, 2]),
            Some((0x4001_0000, 0x4001_2000))
        );
        assert_eq!(named(op::DMA_WRITE, [8, 0x4000_0ff8, 16]), Some((0x4000_0000, 0x4000_2000)));
        assert_eq!(named(op::READ, [0x4000_0008, 8, 0]), Some((0x4000_0000, 0x4000_1000)));
        assert_eq!(named(op::SWAP, [0x4000_0008, 8, 0]), Some((0x4000_0000, 0x4000_1000)));
    }

    #[test]
    fn what_names_no_page_that_can_be_is_about_none() {
        assert_eq!(named(op::HYPERCALL, [u64::MAX, 0x40010, 2]), None);
        assert_eq!(named(op::HYPERCALL, [hypercall::HOST_SHARE_HYP, u64::MAX, 0]), None);
        assert_eq!(named(op::SMC, [1, 2, 3]), None);
        assert_eq!(named(op::NOP, [0; 3]), None);
        let huge = named(op::HYPERCALL, [hypercall::HOST_DONATE_HYP, 0x40010, u64::MAX]).unwrap();
        assert_eq!(huge.0, 0x4001_0000);
    }
}
