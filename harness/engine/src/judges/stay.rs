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
/// Accesses to the SMMU's registers that the test host makes for an access of a device: it looks at the event queue before and after.
const FOR_A_DEVICE: u64 = 8;
/// And those for each page that it names: a page of all tables, with an invalidation of its own.
const A_PAGE: u64 = 8_000;

/// Counts the instructions at EL2 from one mark of the test host's to the next.
#[derive(Default)]
pub(super) struct Stay {
    /// Instructions until the last operation was over, by all CPUs.
    until: Option<u64>,
}

/// Instructions until the last of `events` that tells of them.
fn counted(events: &[Record]) -> Option<u64> {
    let counts = events.iter().rev().find(|event| matches!(event.kind, kind::MARK | kind::ERET));
    counts.map(|event| event.b)
}

/// Most instructions of `operation`; none of one that is performed over and over.
fn limit(operation: &Operation) -> Option<u64> {
    if matches!(operation, Operation::Access(CpuAccess::Race { .. })) {
        return None;
    }
    let pages = operation.footprint().pages.map_or(0, |span| span.size / PAGE_SIZE);
    let times = if operation.is_device() { FOR_A_DEVICE } else { 1 };
    Some(pages.saturating_mul(A_PAGE).saturating_add(ANY * times))
}

impl Judge for Stay {
    fn boot(&mut self, at: &Moment<'_>) -> Vec<Finding> {
        self.until = counted(at.events);
        Vec::new()
    }

    fn judge(&mut self, step: &StepView<'_>) -> Vec<Finding> {
        let after = &step.after;
        let Some(now) = counted(after.events) else { return Vec::new() };
        let spent = self.until.replace(now).map(|before| now.saturating_sub(before));
        let limits = step.performed.iter().map(|one| limit(one.operation));
        let allowed = limits.sum::<Option<u64>>();
        let (Some(spent), Some(allowed), Some(Performed { operation, .. })) =
            (spent, allowed, step.performed.last())
        else {
            return Vec::new();
        };
        // For an SMMU that does not answer it waits, and gives up.
        if spent <= allowed || after.context.smmu_fails {
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
