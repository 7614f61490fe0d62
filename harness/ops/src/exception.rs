//! The exception that ended a probe, as the test host packs it into its result.

use parallax_abi::mailbox::{Response, kind};

use crate::operation::{CpuAccess, Operation};

/// What the host was told when its instruction did not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// ESR_EL1, bits 31:0.
    pub esr: u64,
    /// SPSR_EL1, bits 9:0: the masks of interrupts and the mode.
    pub spsr: u64,
    /// The vector's offset from VBAR_EL1, in bytes.
    pub vector: u64,
    /// Whether FAR_EL1 is the address that the instruction accesses.
    pub far: bool,
    /// Whether ELR_EL1 is the instruction's own address.
    pub elr: bool,
}

impl Exception {
    /// The one that `response` to a probe tells of; none if the instruction completed, or `operation` is no probe.
    #[must_use]
    pub const fn of(operation: &Operation, response: &Response) -> Option<Self> {
        let value = response.x[0];
        let probe = matches!(operation, Operation::Access(CpuAccess::Probe { .. }));
        if !probe || response.kind != kind::OK || response.x[2] == 0 {
            return None;
        }
        Some(Self {
            esr: value & 0xffff_ffff,
            spsr: value >> 32 & 0x3ff,
            vector: (value >> 44 & 0xf) << 7,
            far: value >> 48 & 1 != 0,
            elr: value >> 49 & 1 != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::row;

    #[test]
    fn only_a_probe_that_took_one_has_one() {
        let operation = |word: &str| Operation::new(row(word).unwrap(), &[0x1000, 0, 1, 0]).unwrap();
        let x = [0x8003_43c5_9600_0047, 0, 1, 0];
        let response = Response { kind: kind::OK, x, ..Response::default() };
        let taken = Exception::of(&operation("host_probe"), &response).unwrap();
        assert_eq!((taken.esr, taken.spsr, taken.vector), (0x9600_0047, 0x3c5, 0x200));
        assert!(taken.far && taken.elr);
        assert_eq!(Exception::of(&operation("host_write"), &response), None);
        let completed = Response { x: [x[0], 0, 0, 0], ..response };
        assert_eq!(Exception::of(&operation("host_probe"), &completed), None);
    }
}
