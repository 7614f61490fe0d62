//! The registers that a recording knows, as a target description and as bytes.
//!
//! Of the general registers only the program counter means something: it names the next operation
//! ([`parallax_gdb::program`]). The frame chain is empty, and everything else is unknown. The system registers are those of
//! CPU 0, the SMMU's are the same on each.

use std::fmt::Write as _;

use parallax_machine::Registers;
use parallax_smmu::OFFSETS;

/// Registers x0 to x30.
const GENERAL: usize = 31;
/// The frame pointer's number.
const FRAME: usize = 29;
/// System registers, in the order of [`system`].
const SYSTEM: [&str; 7] =
    ["VTTBR_EL2", "VTCR_EL2", "HCR_EL2", "TTBR0_EL2", "TCR_EL2", "MAIR_EL2", "SCTLR_EL2"];
/// The SMMU's registers by offset (IHI 0070, 6.3).
const SMMU: [(u32, &str); 28] = [
    (0x00, "IDR0"),
    (0x04, "IDR1"),
    (0x0c, "IDR3"),
    (0x14, "IDR5"),
    (0x1c, "AIDR"),
    (0x20, "CR0"),
    (0x24, "CR0ACK"),
    (0x28, "CR1"),
    (0x2c, "CR2"),
    (0x44, "GBPA"),
    (0x50, "IRQ_CTRL"),
    (0x60, "GERROR"),
    (0x64, "GERRORN"),
    (0x68, "GERROR_IRQ_CFG0"),
    (0x6c, "GERROR_IRQ_CFG0_HI"),
    (0x80, "STRTAB_BASE"),
    (0x84, "STRTAB_BASE_HI"),
    (0x88, "STRTAB_BASE_CFG"),
    (0x90, "CMDQ_BASE"),
    (0x94, "CMDQ_BASE_HI"),
    (0x98, "CMDQ_PROD"),
    (0x9c, "CMDQ_CONS"),
    (0xa0, "EVENTQ_BASE"),
    (0xa4, "EVENTQ_BASE_HI"),
    (0xb0, "EVENTQ_IRQ_CFG0"),
    (0xb4, "EVENTQ_IRQ_CFG0_HI"),
    (0x1_00a8, "EVENTQ_PROD"),
    (0x1_00ac, "EVENTQ_CONS"),
];

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
            <reg name=\"cpsr\" bitsize=\"32\"/></feature><feature name=\"org.parallax.system\">";
    for name in SYSTEM {
        let _ = write!(xml, "<reg name=\"{name}\" bitsize=\"64\" type=\"int64\" group=\"system\"/>");
    }
    xml += "</feature><feature name=\"org.parallax.smmu\">";
    for offset in OFFSETS {
        let name = SMMU.iter().find(|(known, _)| known == offset).map_or("", |(_, name)| name);
        let _ = write!(xml, "<reg name=\"SMMU_{name}\" bitsize=\"32\" type=\"int32\" group=\"smmu\"/>");
    }
    xml += "</feature></target>";
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
    push(&mut out, Some(0), 8);
    push(&mut out, Some(pc), 8);
    push(&mut out, None, 4);
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
    fn every_register_of_the_smmu_that_is_recorded_has_a_name() {
        assert!(OFFSETS.iter().all(|offset| SMMU.iter().any(|(known, _)| known == offset)));
        assert!(!description().contains("\"SMMU_\""));
    }

    #[test]
    fn the_bytes_are_those_of_the_described_registers() {
        let bits = |text: &str| text.split('"').next().unwrap().parse::<usize>().unwrap();
        let described: usize = description().split("bitsize=\"").skip(1).map(bits).sum();
        let registers = Registers { sys: Default::default(), smmu: None };
        assert_eq!(8 * bytes(0, 0, &registers).len(), described);
    }
}
