//! Whether the exception that ended a probe tells the host what its instruction did.

use parallax_model::{Finding, Rule, Space, Violation};
use parallax_ops::{CpuAccess, Exception, Operation};

use super::expected;
use crate::judge::{Judge, Performed, StepView};

/// Holds ESR_EL1, FAR_EL1, ELR_EL1, SPSR_EL1 and the vector of a data abort against the access that took it (DDI 0487, D1.3.1
/// and D24.2.37).
pub(super) struct Exceptions;

impl Judge for Exceptions {
    fn judge(&mut self, step: &StepView<'_>) -> Vec<Finding> {
        let after = &step.after;
        let wrong = step.performed.iter().flat_map(|Performed { operation, answer, .. }| {
            let Operation::Access(CpuAccess::Probe { form, el, .. }) = **operation else { return Vec::new() };
            let taken = Exception::of(operation, &answer.response);
            let wrong = taken.map_or_else(Vec::new, |taken| wrong(taken, form, el));
            let span = operation.footprint().pages.unwrap_or_default();
            let violation = |message: &str| Violation {
                rule: Rule::AccessException,
                space: Space::Cpu,
                span: span.cast(),
                subject: after.context.symbols.span(span),
                message: message.to_owned(),
                function: None,
            };
            let found = |message| expected::seen(violation(message), operation, after.state, after.context);
            wrong.into_iter().map(found).collect()
        });
        wrong.collect()
    }

    fn is_of_one(&self) -> bool {
        true
    }
}

/// The first form that stores.
const STORES: u64 = 12;

/// What does not fit to instruction `form` at exception level `el`.
fn wrong(taken: Exception, form: u64, el: u64) -> Vec<&'static str> {
    // ESR_ELx.EC of a data abort from a lower exception level, and from the same.
    const DATA_ABORT: [u64; 2] = [0x24, 0x25];
    let class = taken.esr >> 26 & 0x3f;
    if !DATA_ABORT.contains(&class) {
        return vec!["ESR_EL1.EC is not that of a data abort"];
    }
    let user = el == 0;
    let mode = if user { 0b0000 } else { 0b0101 };
    let facts = [
        (class != DATA_ABORT[usize::from(!user)], "ESR_EL1.EC tells of another exception level"),
        (taken.esr >> 25 & 1 == 0, "ESR_EL1.IL is 0: the instruction has 32 bits"),
        (taken.esr >> 24 & 1 != 0, "ESR_EL1.ISV is 1: the syndrome is one of stage 2"),
        ((taken.esr >> 6 & 1 != 0) != (form >= STORES), "ESR_EL1.WnR tells of the other kind of access"),
        (!taken.far, "FAR_EL1 is not the address"),
        (!taken.elr, "ELR_EL1 is not that of the instruction"),
        (taken.spsr & 0x1f != mode, "SPSR_EL1.M is not where the instruction ran"),
        (
            taken.spsr >> 6 & 0xf != 0xf,
            "SPSR_EL1 has not the masks of interrupts that the instruction ran with",
        ),
        (taken.vector != if user { 0x400 } else { 0x200 }, "the vector is that of another exception level"),
    ];
    facts.into_iter().filter_map(|(wrong, message)| wrong.then_some(message)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: Exception = Exception { esr: 0x9600_0007, spsr: 0x3c5, vector: 0x200, far: true, elr: true };

    #[test]
    fn what_fits_is_silent() {
        assert!(wrong(RIGHT, 0, 1).is_empty());
        let user = Exception { esr: 0x9200_0050, spsr: 0x3c0, vector: 0x400, ..RIGHT };
        assert!(wrong(user, STORES, 0).is_empty());
    }

    #[test]
    fn each_lie_is_told() {
        let told = |taken| wrong(taken, 0, 1).join("; ");
        for (taken, part) in [
            (Exception { esr: 0x200_0000, ..RIGHT }, "not that of a data abort"),
            (Exception { esr: 0x9200_0007, ..RIGHT }, "another exception level"),
            (Exception { esr: 0x9400_0007, ..RIGHT }, "IL"),
            (Exception { esr: 0x9700_0007, ..RIGHT }, "ISV"),
            (Exception { esr: 0x9600_0047, ..RIGHT }, "WnR"),
            (Exception { far: false, ..RIGHT }, "FAR_EL1"),
            (Exception { elr: false, ..RIGHT }, "ELR_EL1"),
            (Exception { spsr: 0x3c4, ..RIGHT }, "SPSR_EL1.M"),
            (Exception { spsr: 0x345, ..RIGHT }, "masks"),
            (Exception { vector: 0x400, ..RIGHT }, "vector"),
        ] {
            assert!(told(taken).contains(part), "{part}: {}", told(taken));
        }
    }
}
