//! Operations that cannot be performed while others are: what waits for them would wait for long, and find nothing.

use crate::error::Problem;
use crate::op::Op;
use crate::syntax::{Item, Line};

/// PSCI's CPU_OFF (DEN 0022, 5.5).
const CPU_OFF: u64 = 0x8400_0002;
/// The bits of x0 that name a function: the lower half, without what a caller says of its SVE state (SMCCC, DEN 0028, 2.4).
const FUNCTION: u64 = 0xffff_ffff & !(1 << 16);

/// Refuses `op`, written in `line`, beside the operations `before` it between `together` and `end`.
pub(crate) fn check(op: &Op, before: &[Op], line: &Line<'_>) -> Result<(), Problem> {
    let refused =
        |span: &str, found: String, expected: &str| Err(Problem::new(argument(line, span), found, expected));
    if turns_its_cpu_off(op) {
        let expected = "it outside of `together`: a CPU that is turned off does not end its operation";
        return refused("id", "CPU_OFF".to_owned(), expected);
    }
    if op.row.name == "host_race" {
        let expected =
            "it outside of `together`: it is two CPUs at once already, whose moments `seed` varies";
        return refused("", "`host_race`".to_owned(), expected);
    }
    match stream(op).filter(|sid| before.iter().any(|other| stream(other) == Some(*sid))) {
        Some(sid) => {
            let expected =
                "one for each device between `together` and `end`: a device performs one at a time";
            refused("sid", format!("a second transfer of StreamID {sid}"), expected)
        }
        None => Ok(()),
    }
}

/// Whether `op` turns the CPU off that performs it, by either instruction.
fn turns_its_cpu_off(op: &Op) -> bool {
    let id = op.arg("id").filter(|id| id.base.is_none());
    matches!(op.row.name, "smc" | "hypercall") && id.is_some_and(|id| id.offset & FUNCTION == CPU_OFF)
}

/// The StreamID of the device that performs `op`, if one does.
fn stream(op: &Op) -> Option<u64> {
    let sid = op.arg("sid").filter(|_| op.row.name.starts_with("dma_"));
    sid.map(|sid| sid.offset)
}

/// Where the argument `key` stands in `line`, or where its name does.
fn argument(line: &Line<'_>, key: &str) -> std::ops::Range<usize> {
    let is_key = |item: &&Item<'_>| item.key.as_ref().is_some_and(|found| found.text == key);
    let is_name = |item: &&Item<'_>| item.key.is_none();
    line.items
        .iter()
        .find(is_key)
        .or_else(|| line.items.iter().find(is_name))
        .map_or(line.end..line.end, Item::span)
}
