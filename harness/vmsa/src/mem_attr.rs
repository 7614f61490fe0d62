//! The MemAttr field of a stage-2 leaf (DDI 0487, D8.6).

use std::fmt;

use crate::memtype::{Cacheability, DeviceType, MemType};

/// The stage-2 MemAttr field, bits 5:2 of a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemAttr {
    /// HCR_EL2.FWB = 0: a memory type, combined with stage 1's.
    Type(MemType),
    /// FWB = 1, 0b00xx: Device.
    FwbDevice(DeviceType),
    /// FWB = 1, 0b0101: non-cacheable, unless stage 1 says Device.
    FwbNonCacheable,
    /// FWB = 1, 0b0110: write-back, whatever stage 1 says.
    FwbWriteBack,
    /// FWB = 1, 0b0111: what stage 1 says.
    FwbStage1,
    /// An encoding without a meaning; the field's value.
    Reserved(u8),
}

impl MemAttr {
    /// The meaning of field value `raw` (0 to 15) under HCR_EL2.FWB (or STE.S2FWB) `fwb`.
    #[must_use]
    pub const fn decode(raw: u8, fwb: bool) -> Self {
        if fwb { Self::with_fwb(raw) } else { Self::without_fwb(raw) }
    }

    const fn with_fwb(raw: u8) -> Self {
        match raw {
            0b0000..=0b0011 => Self::FwbDevice(DeviceType::from_bits(raw)),
            0b0101 => Self::FwbNonCacheable,
            0b0110 => Self::FwbWriteBack,
            0b0111 => Self::FwbStage1,
            _ => Self::Reserved(raw),
        }
    }

    const fn without_fwb(raw: u8) -> Self {
        const fn half(bits: u8) -> Option<Cacheability> {
            match bits {
                0b01 => Some(Cacheability::NonCacheable),
                0b10 => Some(Cacheability::WriteThrough),
                0b11 => Some(Cacheability::WriteBack),
                _ => None,
            }
        }
        match (half(raw >> 2), half(raw & 0b11)) {
            (Some(outer), Some(inner)) => Self::Type(MemType::Normal { inner, outer }),
            (None, _) if raw <= 0b0011 => Self::Type(MemType::Device(DeviceType::from_bits(raw))),
            _ => Self::Reserved(raw),
        }
    }

    /// Whether stage 2 alone makes the memory Device, whatever stage 1 says.
    #[must_use]
    pub const fn is_device(self) -> bool {
        matches!(self, Self::Type(MemType::Device(_)) | Self::FwbDevice(_))
    }
}

impl fmt::Display for MemAttr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(ty) => ty.fmt(f),
            Self::FwbDevice(device) => MemType::Device(*device).fmt(f),
            Self::FwbNonCacheable => f.pad("FWB-NC"),
            Self::FwbWriteBack => f.pad("FWB-WB"),
            Self::FwbStage1 => f.pad("FWB-as-stage-1"),
            Self::Reserved(raw) => f.pad(&format!("MemAttr-reserved-{raw:#06b}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memattr_without_fwb_is_decoded_as_the_manual_says() {
        use Cacheability::*;
        let cases = [
            (0b0000, MemAttr::Type(MemType::Device(DeviceType::NGnRnE))),
            (0b0001, MemAttr::Type(MemType::Device(DeviceType::NGnRE))),
            (0b0010, MemAttr::Type(MemType::Device(DeviceType::NGRE))),
            (0b0011, MemAttr::Type(MemType::Device(DeviceType::GRE))),
            (0b0101, MemAttr::Type(MemType::NC)),
            (0b1010, MemAttr::Type(MemType::WT)),
            (0b1111, MemAttr::Type(MemType::WB)),
            (0b0111, MemAttr::Type(MemType::Normal { outer: NonCacheable, inner: WriteBack })),
            (0b1101, MemAttr::Type(MemType::Normal { outer: WriteBack, inner: NonCacheable })),
            (0b0100, MemAttr::Reserved(0b0100)),
            (0b1000, MemAttr::Reserved(0b1000)),
            (0b1100, MemAttr::Reserved(0b1100)),
        ];
        for (raw, expected) in cases {
            assert_eq!(MemAttr::decode(raw, false), expected, "{raw:#06b}");
        }
    }

    #[test]
    fn memattr_with_fwb_reserves_bit_3_and_0b0100() {
        for raw in [0b0100, 0b1000, 0b1101, 0b1111] {
            assert_eq!(MemAttr::decode(raw, true), MemAttr::Reserved(raw));
        }
        assert_eq!(MemAttr::decode(0b0111, true), MemAttr::FwbStage1);
        assert!(MemAttr::decode(0b0010, true).is_device());
    }
}
