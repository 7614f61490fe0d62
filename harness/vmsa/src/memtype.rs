//! Memory types: Device and Normal memory (DDI 0487, B2.10 and D8.6).

use std::fmt;

/// Kinds of Device memory, the most restrictive first: Gathering, Reordering, Early write acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceType {
    /// No gathering, no reordering, no early write acknowledgement.
    NGnRnE,
    /// No gathering, no reordering.
    NGnRE,
    /// No gathering.
    NGRE,
    /// All three.
    GRE,
}

impl DeviceType {
    /// From the two bits that stand for it in MAIR_ELx and in a stage-2 MemAttr field.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0b00 => Self::NGnRnE,
            0b01 => Self::NGnRE,
            0b10 => Self::NGRE,
            _ => Self::GRE,
        }
    }
}

/// Cacheability of Normal memory, the most restrictive first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cacheability {
    /// Non-cacheable.
    NonCacheable,
    /// Write-through.
    WriteThrough,
    /// Write-back.
    WriteBack,
}

/// A memory type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemType {
    /// Device memory.
    Device(DeviceType),
    /// Normal memory.
    Normal {
        /// Cacheability in the inner domain.
        inner: Cacheability,
        /// Cacheability in the outer domain.
        outer: Cacheability,
    },
}

impl MemType {
    /// Normal, write-back in both domains.
    pub const WB: Self = Self::normal(Cacheability::WriteBack);
    /// Normal, write-through in both domains.
    pub const WT: Self = Self::normal(Cacheability::WriteThrough);
    /// Normal, non-cacheable in both domains.
    pub const NC: Self = Self::normal(Cacheability::NonCacheable);

    /// The types that a master can emit, from the least to the most restrictive.
    pub const INCOMING: [Self; 7] = [
        Self::WB,
        Self::WT,
        Self::NC,
        Self::Device(DeviceType::GRE),
        Self::Device(DeviceType::NGRE),
        Self::Device(DeviceType::NGnRE),
        Self::Device(DeviceType::NGnRnE),
    ];

    const fn normal(both: Cacheability) -> Self {
        Self::Normal { inner: both, outer: both }
    }

    /// Whether it is Device memory.
    #[must_use]
    pub const fn is_device(self) -> bool {
        matches!(self, Self::Device(_))
    }

    /// A field Attr0 to Attr7 of MAIR_ELx (DDI 0487, D24.2), `None` for an encoding that is UNPREDICTABLE or needs an extension
    /// which changes more than the memory type. Allocation hints and "transient" are not kept.
    #[must_use]
    pub const fn from_mair(attr: u8) -> Option<Self> {
        const fn half(nibble: u8) -> Option<Cacheability> {
            match nibble {
                0b0000 => None,
                0b0100 => Some(Cacheability::NonCacheable),
                0b0001..=0b0011 | 0b1000..=0b1011 => Some(Cacheability::WriteThrough),
                _ => Some(Cacheability::WriteBack),
            }
        }
        match (attr >> 4, attr & 0b1111) {
            (0, low) if low & 0b0011 == 0 => Some(Self::Device(DeviceType::from_bits(low >> 2))),
            (high, low) => match (half(high), half(low)) {
                (Some(outer), Some(inner)) => Some(Self::Normal { inner, outer }),
                _ => None,
            },
        }
    }

    /// Combines stage 1's type (`self`) with stage 2's without FWB: the more restrictive wins.
    #[must_use]
    pub fn combine(self, stage2: Self) -> Self {
        match (self, stage2) {
            (Self::Device(one), Self::Device(two)) => Self::Device(one.min(two)),
            (device @ Self::Device(_), _) | (_, device @ Self::Device(_)) => device,
            (Self::Normal { inner: i1, outer: o1 }, Self::Normal { inner: i2, outer: o2 }) => {
                Self::Normal { inner: i1.min(i2), outer: o1.min(o2) }
            }
        }
    }
}

impl fmt::Display for MemType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |cacheability| match cacheability {
            Cacheability::NonCacheable => "NC",
            Cacheability::WriteThrough => "WT",
            Cacheability::WriteBack => "WB",
        };
        match *self {
            Self::Device(DeviceType::NGnRnE) => f.pad("Device-nGnRnE"),
            Self::Device(DeviceType::NGnRE) => f.pad("Device-nGnRE"),
            Self::Device(DeviceType::NGRE) => f.pad("Device-nGRE"),
            Self::Device(DeviceType::GRE) => f.pad("Device-GRE"),
            Self::Normal { inner, outer } if inner == outer => f.pad(&format!("Normal-{}", name(inner))),
            Self::Normal { inner, outer } => f.pad(&format!("Normal-i{}o{}", name(inner), name(outer))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INCOMING: [MemType; 7] = MemType::INCOMING;

    #[test]
    fn without_fwb_the_more_restrictive_type_wins() {
        for (rank1, one) in INCOMING.into_iter().enumerate() {
            for (rank2, two) in INCOMING.into_iter().enumerate() {
                assert_eq!(one.combine(two), INCOMING[rank1.max(rank2)], "{one} with {two}");
            }
        }
    }

    #[test]
    fn the_two_domains_of_normal_memory_combine_apart() {
        use Cacheability::*;
        let one = MemType::Normal { inner: WriteBack, outer: NonCacheable };
        let two = MemType::Normal { inner: WriteThrough, outer: WriteBack };
        assert_eq!(one.combine(two), MemType::Normal { inner: WriteThrough, outer: NonCacheable });
    }

    #[test]
    fn mair_encodings_are_those_of_the_manual() {
        use Cacheability::*;
        let cases = [
            (0x00, Some(MemType::Device(DeviceType::NGnRnE))),
            (0x04, Some(MemType::Device(DeviceType::NGnRE))),
            (0x08, Some(MemType::Device(DeviceType::NGRE))),
            (0x0c, Some(MemType::Device(DeviceType::GRE))),
            (0x44, Some(MemType::NC)),
            (0xff, Some(MemType::WB)),
            (0xbb, Some(MemType::WT)),
            (0x33, Some(MemType::WT)),
            (0x77, Some(MemType::WB)),
            (0x4f, Some(MemType::Normal { outer: NonCacheable, inner: WriteBack })),
            (0x02, None),
            (0xf0, None),
        ];
        for (attr, ty) in cases {
            assert_eq!(MemType::from_mair(attr), ty, "{attr:#04x}");
        }
    }
}
