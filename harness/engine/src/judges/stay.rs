//! Whether EL2 gave the CPU back in time.
//!
//! What a host asks of the hypervisor may take as long as the pages that it names are many (docs/limits.md), and no longer:
//! an access to an emulated register must not keep a CPU at EL2, with locks that other CPUs wait for.

use parallax_abi::journal::{Record, kind};
use parallax_addr::PAGE_SIZE;
use parallax_model::{Finding, Rule, Space, Violation};
use parallax_ops::{CpuAccess, Operation};

use super::expected;
use crate::judge::{Judge, Moment, Performed, StepView};

/// Instructions at EL2 that any operation may take. The longest that is allowed looks at 1024 streams.
const ANY: u64 = 2_000_000;
/// And those for each page that it names: a page of all tables, with an invalidation of its own.
const A_PAGE: u64 = 8_000;

/// Counts the instructions of each stay at EL2, from one return to the host to the next. An operation may have many: for an access of a
/// device the test host looks at the SMMU's event queue until that has settled.
#[derive(Default)]
pub(super) struct Stay {
    /// Instructions until the last return, by all CPUs.
    until: Option<u64>,
}

/// Instructions at each of `events` that tells of them, in order.
fn counts(events: &[Record]) -> impl Iterator<Item = u64> {
    events.iter().filter(|event| matches!(event.kind, kind::MARK | kind::ERET)).map(|event| event.b)
}

/// Most instructions of a stay for `operation`; none of one that is performed over and over.
fn limit(operation: &Operation) -> Option<u64> {
    if matches!(operation, Operation::Access(CpuAccess::Race { .. })) {
        return None;
    }
    let pages = operation.footprint().pages.map_or(0, |span| span.size / PAGE_SIZE);
    Some(pages.saturating_mul(A_PAGE).saturating_add(ANY))
}

impl Judge for Stay {
    fn boot(&mut self, at: &Moment<'_>) -> Vec<Finding> {
        self.until = counts(at.events).last();
        Vec::new()
    }

    fn judge(&mut self, step: &StepView<'_>) -> Vec<Finding> {
        let after = &step.after;
        let mut longest = None;
        for now in counts(after.events) {
            let stay = self.until.replace(now).map(|before| now.saturating_sub(before));
            longest = longest.max(stay);
        }
        if longest.is_none() {
            return Vec::new();
        }
        let limits = step.performed.iter().map(|one| limit(one.operation));
        let allowed = limits.reduce(|all, one| Some(all?.saturating_add(one?))).flatten();
        let (Some(longest), Some(allowed), Some(Performed { operation, .. })) =
            (longest, allowed, step.performed.last())
        else {
            return Vec::new();
        };
        // For an SMMU that does not answer it waits, and gives up.
        if longest <= allowed || after.context.smmu_fails {
            return Vec::new();
        }
        let span = operation.footprint().pages.unwrap_or_default();
        let violation = Violation {
            rule: Rule::ResultLongStay,
            space: Space::Cpu,
            span: span.cast(),
            subject: after.context.symbols.span(span),
            message: format!("EL2 took more than the {allowed} instructions that this may take"),
            function: None,
        };
        vec![expected::seen(violation, operation, after.state, after.context)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_of_instructions_is_in_order() {
        let record = |kind, b| Record { kind, b, ..Record::default() };
        let events =
            [record(kind::ERET, 3), record(kind::STORE, 9), record(kind::ERET, 5), record(kind::MARK, 5)];
        assert_eq!(Vec::from_iter(counts(&events)), [3, 5, 5]);
    }
}
