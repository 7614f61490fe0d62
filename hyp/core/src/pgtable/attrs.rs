//! The attributes of leaves: stage 2 (Arm ARM, D8.3.2) for CPU and SMMU, stage 1 for EL2.
//!
//! Stage 2 is used without FEAT_S2FWB, by the CPU and by the SMMU: MemAttr is a memory type that is combined with the
//! one of stage 1.

use crate::faulty;

/// Upper and lower attributes of a leaf descriptor: everything but its type and output address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Attrs(pub u64);

/// MemAttr, bits 5:2: Normal, inner and outer write-back.
const MEMATTR_NORMAL: u64 = 0b1111 << 2;
/// MemAttr, bits 5:2: Device-nGnRE.
const MEMATTR_DEVICE_NGNRE: u64 = 0b0001 << 2;
/// S2AP, bits 7:6: read and write.
const S2AP_RW: u64 = 0b11 << 6;
/// SH, bits 9:8: outer shareable, as Device memory always is.
const SH_OUTER: u64 = 0b10 << 8;
/// SH, bits 9:8: inner shareable.
const SH_INNER: u64 = 0b11 << 8;
/// AF, bit 10: no access flag fault.
const AF: u64 = 1 << 10;
/// Stage 2 XN, bits 54:53: executable at no exception level.
const S2_XN: u64 = 0b10 << 53;
/// Stage 1 AttrIndx, bits 4:2: [`MAIR_EL2`]'s attribute 1, Device-nGnRE.
const ATTRINDX_DEVICE: u64 = 1 << 2;
/// Stage 1 AP\[1\], bit 6: RES1 where only one exception level uses the table.
const AP1_RES1: u64 = 1 << 6;
/// Stage 1 AP\[2\], bit 7: read-only.
const AP2_READ_ONLY: u64 = 1 << 7;
/// Stage 1 XN, bit 54.
const S1_XN: u64 = 1 << 54;

/// The value of MAIR_EL2 that [`Attrs::el2`] builds upon: attribute 0 Normal write-back, 1 Device-nGnRE.
pub const MAIR_EL2: u64 = 0x04ff;

/// How EL2 may use a mapping of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum El2Prot {
    /// Code: read and execute.
    Text,
    /// Constants: read.
    Rodata,
    /// Everything else in memory: read and write.
    Data,
    /// Registers of a device: read and write.
    Device,
}

impl Attrs {
    /// The host's memory on the CPU: read, write, execute; type and shareability as stage 1 says.
    #[must_use]
    pub fn host_memory() -> Self {
        Self(faulty::host_memory(MEMATTR_NORMAL | S2AP_RW | SH_INNER | AF))
    }

    /// The host's MMIO on the CPU: read and write; type as stage 1 says.
    #[must_use]
    pub fn host_mmio() -> Self {
        Self(faulty::host_mmio(MEMATTR_NORMAL | S2AP_RW | SH_INNER | AF | S2_XN))
    }

    /// Write-back memory behind the SMMU: read and write.
    #[must_use]
    pub const fn smmu_normal() -> Self {
        Self(MEMATTR_NORMAL | S2AP_RW | SH_INNER | AF)
    }

    /// Device-nGnRE behind the SMMU: read and write.
    #[must_use]
    pub const fn smmu_device() -> Self {
        Self(MEMATTR_DEVICE_NGNRE | S2AP_RW | SH_OUTER | AF)
    }

    /// EL2's own stage 1. Nothing is both writable and executable.
    #[must_use]
    pub fn el2(prot: El2Prot) -> Self {
        let base = AF | AP1_RES1;
        let attrs = match prot {
            El2Prot::Text => base | SH_INNER | AP2_READ_ONLY,
            El2Prot::Rodata => base | SH_INNER | AP2_READ_ONLY | S1_XN,
            El2Prot::Data => base | SH_INNER | S1_XN,
            El2Prot::Device => base | SH_OUTER | ATTRINDX_DEVICE | S1_XN,
        };
        Self(faulty::el2_leaf(attrs, prot))
    }

    /// The same with stage 2 permissions no wider than those of the CPU's leaf `cpu` (S2AP; the SMMU's XN stays clear).
    #[must_use]
    pub const fn limited_to(self, cpu: Self) -> Self {
        Self(self.0 & (cpu.0 | !S2AP_RW))
    }

    /// Whether stage 2 forbids execution.
    #[must_use]
    pub const fn is_execute_never(self) -> bool {
        self.0 & S2_XN != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pgtable::Descriptor;

    #[test]
    fn leaves_have_the_agreed_values() {
        let page = |attrs| Descriptor::leaf(3, 0x4000_1000, attrs).0;
        assert_eq!(page(Attrs::smmu_normal()), 0x4000_17ff);
        assert_eq!(page(Attrs::host_memory()), 0x4000_17ff);
        assert_eq!(Descriptor::leaf(2, 0x4020_0000, Attrs::host_memory()).0, 0x4020_07fd);
        assert_eq!(page(Attrs::host_mmio()), 0x0040_0000_4000_17ff);
        assert_eq!(page(Attrs::smmu_device()), 0x4000_16c7);
        assert_eq!(Descriptor::OWNED_BY_HYP.0, 0x2000_0000_0000_0002);
    }

    #[test]
    fn nothing_of_el2_is_both_writable_and_executable() {
        for prot in [El2Prot::Text, El2Prot::Rodata, El2Prot::Data, El2Prot::Device] {
            let attrs = Attrs::el2(prot).0;
            assert!(attrs & (AP2_READ_ONLY | S1_XN) != 0, "{prot:?}");
        }
    }
}
