//! The attributes of an access, and how those of stage 1 and stage 2 combine (DDI 0487, D8.6 "Memory region
//! attributes").
//!
//! Without FWB the more restrictive of the two stages wins; with FWB stage 2 can also force write-back.

use std::fmt;

use crate::mem_attr::MemAttr;
pub use crate::memtype::{Cacheability, DeviceType, MemType};

/// A shareability field, SH.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shareability {
    /// 0b00.
    NonShareable,
    /// 0b01, reserved.
    Reserved,
    /// 0b10.
    OuterShareable,
    /// 0b11.
    InnerShareable,
}

impl Shareability {
    /// From the two bits of an SH field.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0b00 => Self::NonShareable,
            0b01 => Self::Reserved,
            0b10 => Self::OuterShareable,
            _ => Self::InnerShareable,
        }
    }

    /// Combines two stages: outer shareable before inner shareable before non-shareable. A reserved one counts as
    /// non-shareable.
    #[must_use]
    pub const fn combine(self, other: Self) -> Self {
        match (self, other) {
            (Self::OuterShareable, _) | (_, Self::OuterShareable) => Self::OuterShareable,
            (Self::InnerShareable, _) | (_, Self::InnerShareable) => Self::InnerShareable,
            _ => Self::NonShareable,
        }
    }
}

impl fmt::Display for Shareability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NonShareable => "NSH",
            Self::Reserved => "reserved",
            Self::OuterShareable => "OSH",
            Self::InnerShareable => "ISH",
        })
    }
}

/// Memory type and shareability: the attributes of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemAttrs {
    /// Memory type.
    pub ty: MemType,
    /// Shareability.
    pub sh: Shareability,
}

impl MemAttrs {
    /// Attributes with the shareability that counts: Device memory and memory that is non-cacheable in both
    /// domains is outer shareable whatever the field says.
    #[must_use]
    pub fn new(ty: MemType, sh: Shareability) -> Self {
        let sh = if ty.is_device() || ty == MemType::NC { Shareability::OuterShareable } else { sh };
        Self { ty, sh }
    }

    /// Combines an access with these attributes after stage 1 (or as it came in, when stage 1 is bypassed) with
    /// the fields of the stage-2 leaf that it meets. `None` when the MemAttr encoding is reserved.
    #[must_use]
    pub fn combine_stage2(self, stage2: MemAttr, sh: Shareability) -> Option<Self> {
        let ty = match stage2 {
            MemAttr::Type(ty) => self.ty.combine(ty),
            MemAttr::FwbDevice(device) => self.ty.combine(MemType::Device(device)),
            MemAttr::FwbNonCacheable if self.ty.is_device() => self.ty,
            MemAttr::FwbNonCacheable => MemType::NC,
            MemAttr::FwbWriteBack => MemType::WB,
            MemAttr::FwbStage1 => self.ty,
            MemAttr::Reserved(_) => return None,
        };
        Some(Self::new(ty, self.sh.combine(sh)))
    }
}

impl fmt::Display for MemAttrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} {}", self.ty, self.sh))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Shareability::*;

    #[test]
    fn with_fwb_stage_2_decides_as_its_encoding_says() {
        let combined = |incoming: MemType, raw| {
            let access = MemAttrs::new(incoming, InnerShareable);
            access.combine_stage2(MemAttr::decode(raw, true), InnerShareable).map(|attrs| attrs.ty)
        };
        for incoming in MemType::INCOMING {
            assert_eq!(combined(incoming, 0b0110), Some(MemType::WB), "forced, Device included");
            assert_eq!(combined(incoming, 0b0111), Some(incoming), "as stage 1");
            let kept = if incoming.is_device() { incoming } else { MemType::NC };
            assert_eq!(combined(incoming, 0b0101), Some(kept), "non-cacheable unless Device");
            let device = MemType::Device(DeviceType::NGnRE);
            assert_eq!(combined(incoming, 0b0001), Some(incoming.combine(device)));
            assert_eq!(combined(incoming, 0b0100), None, "reserved");
        }
    }

    #[test]
    fn shareability_is_the_widest_and_outer_for_device_and_non_cacheable() {
        assert_eq!(NonShareable.combine(InnerShareable), InnerShareable);
        assert_eq!(InnerShareable.combine(OuterShareable), OuterShareable);
        assert_eq!(NonShareable.combine(Reserved), NonShareable);
        let sh = |ty| MemAttrs::new(ty, NonShareable).sh;
        assert_eq!((sh(MemType::WB), sh(MemType::WT)), (NonShareable, NonShareable));
        assert_eq!(sh(MemType::NC), OuterShareable);
        assert_eq!(sh(MemType::Device(DeviceType::GRE)), OuterShareable);
    }

    #[test]
    fn names_are_the_architectures() {
        assert_eq!(MemType::Device(DeviceType::NGnRE).to_string(), "Device-nGnRE");
        assert_eq!(MemAttrs::new(MemType::WB, InnerShareable).to_string(), "Normal-WB ISH");
    }
}
