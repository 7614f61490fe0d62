//! Registers of a live machine: QEMU's, and the SMMU's beside them.

use parallax_machine::rsp::hex;
use parallax_smmu::OFFSETS;

use crate::smmu_registers;

/// Number of the SMMU's first register, above all of QEMU's.
const SMMU: usize = 0x8000;

/// Makes QEMU's target description one that has the SMMU's registers as well, if the hypervisor uses one, and in which groups
/// are called as they are with a recording.
pub(super) fn complete(documents: &mut [(String, String)], smmu: bool) {
    for (name, xml) in documents {
        *xml = xml.replace("group=\"cp_regs\"", "group=\"system\"");
        if smmu && name == "target.xml" {
            *xml = xml.replace("</target>", &format!("{}</target>", smmu_registers::feature(Some(SMMU))));
        }
    }
}

/// The offset of the SMMU's register with this number.
pub(super) fn smmu(number: usize) -> Option<u64> {
    OFFSETS.get(number.checked_sub(SMMU)?).map(|offset| u64::from(*offset))
}

/// The bytes of a `g` packet; `xx` is one that is not known.
pub(super) fn bytes(reply: &[u8]) -> Option<Vec<Option<u8>>> {
    let pairs = reply.chunks(2);
    pairs
        .map(|pair| if pair == b"xx" { Some(None) } else { Some(Some(*hex::decode(pair)?.first()?)) })
        .collect()
}
