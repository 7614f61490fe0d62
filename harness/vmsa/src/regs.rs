//! System registers that control translation at EL2, raw and by field.

use parallax_addr::PhysAddr;
use serde::{Deserialize, Serialize};

use crate::control::ControlRegs;

/// The raw values of the registers that the decoders need, all read on one CPU at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SysRegs {
    /// VTTBR_EL2: root of stage 2 and VMID.
    pub vttbr_el2: u64,
    /// VTCR_EL2: control of stage 2.
    pub vtcr_el2: u64,
    /// HCR_EL2: hypervisor configuration.
    pub hcr_el2: u64,
    /// TTBR0_EL2: root of EL2's stage 1.
    pub ttbr0_el2: u64,
    /// TCR_EL2: control of EL2's stage 1.
    pub tcr_el2: u64,
    /// MAIR_EL2: memory attributes of EL2's stage 1.
    pub mair_el2: u64,
    /// SCTLR_EL2: system control at EL2.
    pub sctlr_el2: u64,
    /// The registers that do not translate; absent where they were not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlRegs>,
}

impl SysRegs {
    /// Each register that was looked at, by name.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("VTTBR_EL2", self.vttbr_el2),
            ("VTCR_EL2", self.vtcr_el2),
            ("HCR_EL2", self.hcr_el2),
            ("TTBR0_EL2", self.ttbr0_el2),
            ("TCR_EL2", self.tcr_el2),
            ("MAIR_EL2", self.mair_el2),
            ("SCTLR_EL2", self.sctlr_el2),
        ]
        .into_iter()
        .chain(self.control.iter().flat_map(ControlRegs::values).collect::<Vec<_>>())
    }

    /// Does what an MSR of `value` does to the register with this op1, CRn, CRm and op2 (DDI 0487, C5.1.3).
    pub fn write(&mut self, encoding: u32, value: u64) {
        let register = match encoding {
            0x2080 => &mut self.sctlr_el2,
            0x2088 => &mut self.hcr_el2,
            0x2100 => &mut self.ttbr0_el2,
            0x2102 => &mut self.tcr_el2,
            0x2108 => &mut self.vttbr_el2,
            0x210a => &mut self.vtcr_el2,
            0x2510 => &mut self.mair_el2,
            _ => return self.control.iter_mut().for_each(|control| control.write(encoding, value)),
        };
        *register = value;
    }
}

/// Bits `hi:lo` of `value`, both at most 63, `lo <= hi`.
#[must_use]
pub const fn bits(value: u64, hi: u32, lo: u32) -> u64 {
    (value >> lo) & (u64::MAX >> (63 - (hi - lo)))
}

/// Bit `n` of `value`, at most 63.
#[must_use]
pub const fn bit(value: u64, n: u32) -> bool {
    (value >> n) & 1 == 1
}

/// HCR_EL2, the fields that concern translation (DDI 0487, D24.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hcr(pub u64);

impl Hcr {
    /// VM, bit 0: stage 2 is on for EL1&0.
    #[must_use]
    pub const fn vm(self) -> bool {
        bit(self.0, 0)
    }

    /// PTW, bit 2: a stage-1 walk that meets Device memory at stage 2 takes a permission fault.
    #[must_use]
    pub const fn ptw(self) -> bool {
        bit(self.0, 2)
    }

    /// DC, bit 12: default cacheability; stage 1 off and stage 2 on regardless of VM.
    #[must_use]
    pub const fn dc(self) -> bool {
        bit(self.0, 12)
    }

    /// TGE, bit 27: general exceptions are routed to EL2; there is no EL1&0 stage 2.
    #[must_use]
    pub const fn tge(self) -> bool {
        bit(self.0, 27)
    }

    /// RW, bit 31: EL1 is AArch64.
    #[must_use]
    pub const fn rw(self) -> bool {
        bit(self.0, 31)
    }

    /// E2H, bit 34: EL2 uses the host's register layout (VHE).
    #[must_use]
    pub const fn e2h(self) -> bool {
        bit(self.0, 34)
    }

    /// FWB, bit 46: stage 2 forces write-back by its own MemAttr encoding.
    #[must_use]
    pub const fn fwb(self) -> bool {
        bit(self.0, 46)
    }

    /// Whether stage 2 translates EL1's accesses: VM or DC, and not TGE.
    #[must_use]
    pub const fn stage2_enabled(self) -> bool {
        (self.vm() || self.dc()) && !self.tge()
    }
}

/// SCTLR_EL2, the fields that concern translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sctlr(pub u64);

impl Sctlr {
    /// M, bit 0: stage 1 is on.
    #[must_use]
    pub const fn m(self) -> bool {
        bit(self.0, 0)
    }

    /// C, bit 2: data accesses may be cached.
    #[must_use]
    pub const fn c(self) -> bool {
        bit(self.0, 2)
    }

    /// I, bit 12: instruction fetches may be cached.
    #[must_use]
    pub const fn i(self) -> bool {
        bit(self.0, 12)
    }

    /// WXN, bit 19: whatever is writable is not executable.
    #[must_use]
    pub const fn wxn(self) -> bool {
        bit(self.0, 19)
    }

    /// EE, bit 25: tables and data at EL2 are big-endian.
    #[must_use]
    pub const fn ee(self) -> bool {
        bit(self.0, 25)
    }
}

/// VTTBR_EL2 or TTBR0_EL2 (without FEAT_LPA: 48-bit table addresses).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttbr(pub u64);

impl Ttbr {
    /// BADDR, bits 47:1: physical address of the root. Its low bits depend on the size of the root table.
    #[must_use]
    pub const fn baddr(self) -> PhysAddr {
        PhysAddr::new(self.0 & 0x0000_ffff_ffff_fffe)
    }

    /// CnP, bit 0: common not private (FEAT_TTCNP).
    #[must_use]
    pub const fn cnp(self) -> bool {
        bit(self.0, 0)
    }

    /// VMID or ASID, bits 63:48.
    #[must_use]
    pub const fn id(self) -> u16 {
        (self.0 >> 48) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_taken_from_their_place() {
        assert_eq!(bits(0xabcd_0000_0000_0000, 63, 48), 0xabcd);
        assert_eq!(bits(u64::MAX, 63, 0), u64::MAX);
        assert!(bit(1 << 63, 63) && !bit(1 << 62, 63));
    }

    #[test]
    fn stage_2_is_on_by_vm_or_dc_unless_tge() {
        assert!(Hcr(1).stage2_enabled());
        assert!(Hcr(1 << 12).stage2_enabled());
        assert!(!Hcr(1 | 1 << 27).stage2_enabled());
        assert!(!Hcr(1 << 31).stage2_enabled());
    }

    #[test]
    fn a_table_base_register_keeps_id_and_address_apart() {
        let ttbr = Ttbr(0x0012_0000_4810_0001);
        assert_eq!((ttbr.baddr().get(), ttbr.id(), ttbr.cnp()), (0x4810_0000, 0x12, true));
    }
}
