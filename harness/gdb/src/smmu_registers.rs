//! The SMMU's registers by name, as a part of a target description.

use std::fmt::Write as _;

use parallax_smmu::OFFSETS;

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

/// The feature, with a register for each that snapshots hold, in their order; their numbers begin at `first`, or go on from
/// those before.
pub(super) fn feature(first: Option<usize>) -> String {
    let mut xml = "<feature name=\"org.parallax.smmu\">".to_owned();
    for (index, offset) in OFFSETS.iter().enumerate() {
        let name = SMMU.iter().find(|(known, _)| known == offset).map_or("", |(_, name)| name);
        let number = first.map_or_else(String::new, |first| format!(" regnum=\"{}\"", first + index));
        let _ =
            write!(xml, "<reg name=\"SMMU_{name}\" bitsize=\"32\" type=\"int32\" group=\"smmu\"{number}/>");
    }
    xml += "</feature>";
    xml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_register_of_the_smmu_that_is_recorded_has_a_name() {
        assert!(OFFSETS.iter().all(|offset| SMMU.iter().any(|(known, _)| known == offset)));
        assert!(!feature(None).contains("\"SMMU_\""));
        assert!(
            feature(Some(500))
                .contains("\"SMMU_IDR1\" bitsize=\"32\" type=\"int32\" group=\"smmu\" regnum=\"501\"")
        );
    }
}
