//! Which operation of one recording belongs to which of another, and what they did differently.

use serde::Serialize;
use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::data::{Performed, Recorded};

/// The result differs.
const RESULT: u8 = 1;
/// What changed in tables, registers or page states differs.
const STATE: u8 = 2;
/// What was found differs.
const FINDINGS: u8 = 4;

/// Number of the operation in either recording, and a sum of [`RESULT`], [`STATE`] and [`FINDINGS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Pair(Option<usize>, Option<usize>, u8);

/// All operations of both, in order.
pub(super) fn pairs(left: &Recorded, right: &Recorded) -> Vec<Pair> {
    let texts = |run: &Recorded| -> Vec<usize> { run.ops.iter().map(|op| op.text).collect() };
    let (old, new) = (texts(left), texts(right));
    let mut pairs = Vec::new();
    for step in capture_diff_slices(Algorithm::Myers, &old, &new) {
        if let DiffOp::Equal { old_index, new_index, len } = step {
            pairs.extend((0..len).map(|n| both(left, old_index + n, right, new_index + n)));
        } else {
            pairs.extend(step.old_range().map(|n| Pair(Some(n), None, 0)));
            pairs.extend(step.new_range().map(|n| Pair(None, Some(n), 0)));
        }
    }
    pairs
}

fn both(left: &Recorded, a: usize, right: &Recorded, b: usize) -> Pair {
    let (one, other): (&Performed, &Performed) = (&left.ops[a], &right.ops[b]);
    let result = if one.result == other.result { 0 } else { RESULT };
    let state = if one.changes == other.changes && one.lines == other.lines { 0 } else { STATE };
    let found = |op: &Performed| -> Vec<usize> { op.findings.iter().map(|found| found.identity).collect() };
    let findings = if found(one) == found(other) { 0 } else { FINDINGS };
    Pair(Some(a), Some(b), result | state | findings)
}
