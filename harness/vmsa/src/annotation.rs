//! Annotated stage-2 entries: invalid for the hardware, meaningful to a hypervisor after pKVM's model.

use std::fmt;

use crate::regs::{bit, bits};

/// Type of an annotated entry, bits 63:60.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AnnotationType {
    /// 1: being changed (break-before-make).
    Locked,
    /// 2: given to another owner.
    Donation,
    /// 3: taken from a guest by force.
    Poisoned,
    /// Any other value: nobody knows it.
    Unknown(u8),
}

impl fmt::Display for AnnotationType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked => f.pad("locked"),
            Self::Donation => f.pad("donation"),
            Self::Poisoned => f.pad("poisoned"),
            Self::Unknown(raw) => f.pad(&format!("type-{raw}")),
        }
    }
}

/// An annotated entry: invalid for the hardware, non-zero for the hypervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Annotation {
    /// The whole entry; bit 0 is 0.
    pub raw: u64,
    /// Bits 63:60.
    pub ty: AnnotationType,
    /// Bits 59:4: for a guest's page the VM's handle in bits 15:0 (entry bits 19:4), then the guest frame number.
    pub extra: u64,
    /// Owner, bits 3:1: 0 host, 1 hypervisor, 2 guest.
    pub owner: u8,
}

impl Annotation {
    /// The annotation in entry `raw`, `None` when it is zero or valid.
    #[must_use]
    pub const fn decode(raw: u64) -> Option<Self> {
        if raw == 0 || bit(raw, 0) {
            return None;
        }
        let ty = match bits(raw, 63, 60) as u8 {
            1 => AnnotationType::Locked,
            2 => AnnotationType::Donation,
            3 => AnnotationType::Poisoned,
            other => AnnotationType::Unknown(other),
        };
        Some(Self { raw, ty, extra: bits(raw, 59, 4), owner: bits(raw, 3, 1) as u8 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_read_as_pkvm_writes_them() {
        let hyp = Annotation::decode(0x2000_0000_0000_0002).expect("annotated");
        assert_eq!((hyp.ty, hyp.extra, hyp.owner), (AnnotationType::Donation, 0, 1));
        let guest = Annotation::decode(0x2000_0000_0000_0004 | 0x1234 << 4 | 0x80 << 20).expect("annotated");
        assert_eq!((guest.ty, guest.extra, guest.owner), (AnnotationType::Donation, 0x80_1234, 2));
        assert_eq!(Annotation::decode(1 << 60).expect("annotated").ty, AnnotationType::Locked);
        assert_eq!(Annotation::decode(3 << 60).expect("annotated").ty, AnnotationType::Poisoned);
        assert_eq!(Annotation::decode(0xf << 60).expect("annotated").ty, AnnotationType::Unknown(15));
        assert_eq!(Annotation::decode(0), None);
        assert_eq!(Annotation::decode(0x2000_0000_0000_0003), None);
    }
}
