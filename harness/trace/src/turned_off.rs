//! Operations that turn the CPU off that performs them (PSCI, DEN 0022, 5.5).

use crate::op::Op;

const CPU_OFF: u64 = 0x8400_0002;
/// The bits of x0 that name a function: the lower half, without what a caller says of its SVE state (SMCCC, DEN 0028, 2.4).
const FUNCTION: u64 = 0xffff_ffff & !(1 << 16);

/// Whether `op` is such a one: CPU_OFF by either instruction.
pub(crate) fn turns_its_cpu_off(op: &Op) -> bool {
    let id = op.arg("id").filter(|id| id.base.is_none());
    matches!(op.row.name, "smc" | "hypercall") && id.is_some_and(|id| id.offset & FUNCTION == CPU_OFF)
}
