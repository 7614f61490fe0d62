//! The registers that a recording knows, as a target description and as bytes.
//!
//! Of the general registers only the program counter means something: it names the next operation
//! ([`crate::program`]). The frame chain is empty, and everything else is unknown. The system registers are those of
//! CPU 0, the SMMU's are the same on each.

use std::fmt::Write as _;

use parallax_machine::Registers;
use parallax_smmu::OFFSETS;

use crate::smmu_registers;

/// Registers x0 to x30.
const GENERAL: usize = 31;
/// The frame pointer's number.
const FRAME: usize = 29;
/// Registers v0 to v31. A gdb that has a description without them gives their parts' names to other registers.
const VECTORS: usize = 32;
/// System registers, in the order of [`system`].
const SYSTEM: [&str; 7] =
    ["VTTBR_EL2", "VTCR_EL2", "HCR_EL2", "TTBR0_EL2", "TCR_EL2", "MAIR_EL2", "SCTLR_EL2"];
const fn system(registers: &Registers) -> [u64; 7] {
    let sys = &registers.sys;
    [sys.vttbr_el2, sys.vtcr_el2, sys.hcr_el2, sys.ttbr0_el2, sys.tcr_el2, sys.mair_el2, sys.sctlr_el2]
}

/// The target description.
pub(super) fn description() -> String {
    let mut xml =
        "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target version=\"1.0\">\
                   <architecture>aarch64</architecture><feature name=\"org.gnu.gdb.aarch64.core\">"
            .to_owned();
    for number in 0..GENERAL {
        let _ = write!(xml, "<reg name=\"x{number}\" bitsize=\"64\"/>");
    }
    xml += "<reg name=\"sp\" bitsize=\"64\" type=\"data_ptr\"/><reg name=\"pc\" bitsize=\"64\" type=\"code_ptr\"/>\
            <reg name=\"cpsr\" bitsize=\"32\"/></feature><feature name=\"org.gnu.gdb.aarch64.fpu\">";
    for number in 0..VECTORS {
        let _ = write!(xml, "<reg name=\"v{number}\" bitsize=\"128\" type=\"uint128\"/>");
    }
    xml += "<reg name=\"fpsr\" bitsize=\"32\"/><reg name=\"fpcr\" bitsize=\"32\"/></feature>\
            <feature name=\"org.parallax.system\">";
    for name in SYSTEM {
        let _ = write!(xml, "<reg name=\"{name}\" bitsize=\"64\" type=\"int64\" group=\"system\"/>");
    }
    xml += "</feature>";
    xml += &smmu_registers::feature(None);
    xml += "</target>";
    xml
}

/// Pushes `len` bytes of `value`, or as many that are not known.
fn push(out: &mut Vec<Option<u8>>, value: Option<u64>, len: usize) {
    match value {
        Some(value) => out.extend(value.to_le_bytes()[..len].iter().copied().map(Some)),
        None => out.resize(out.len() + len, None),
    }
}

/// The bytes of all registers, in the order of the description.
pub(super) fn bytes(pc: u64, cpu: usize, registers: &Registers) -> Vec<Option<u8>> {
    let mut out = Vec::new();
    for number in 0..GENERAL {
        push(&mut out, (number >= FRAME).then_some(0), 8);
    }
    push(&mut out, None, 8);
    push(&mut out, Some(pc), 8);
    push(&mut out, None, 4);
    push(&mut out, None, 16 * VECTORS + 8);
    for value in system(registers) {
        push(&mut out, (cpu == 0).then_some(value), 8);
    }
    for offset in OFFSETS {
        let value = registers.smmu.as_ref().and_then(|smmu| smmu.0.get(offset));
        push(&mut out, value.copied().map(u64::from), 4);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_program_counter_and_the_end_of_the_frames_are_known() {
        let registers = Registers::default();
        let bytes = bytes(0x1234, 1, &registers);
        let value =
            |number: usize| bytes[8 * number..8 * number + 8].iter().copied().collect::<Option<Vec<u8>>>();
        assert_eq!(value(32), Some(0x1234_u64.to_le_bytes().to_vec()), "pc");
        assert_eq!([29, 30].map(value), [const { None }; 2].map(|_: Option<()>| Some(vec![0; 8])));
        assert!([0, 28, 31].map(value).iter().all(Option::is_none), "x0, x28, sp");
    }

    #[test]
    fn the_bytes_are_those_of_the_described_registers() {
        let bits = |text: &str| text.split('"').next().unwrap().parse::<usize>().unwrap();
        let described: usize = description().split("bitsize=\"").skip(1).map(bits).sum();
        let registers = Registers::default();
        assert_eq!(8 * bytes(0, 0, &registers).len(), described);
    }
}
