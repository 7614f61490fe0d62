//! One type for each address space.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{PAGE_SHIFT, PAGE_SIZE};

macro_rules! address {
    ($(#[doc = $doc:literal])* $name:ident) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The address with this number.
            #[must_use]
            pub const fn new(bytes: u64) -> Self {
                Self(bytes)
            }

            /// Its number, in bytes from 0.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The first byte of its page.
            #[must_use]
            pub const fn page(self) -> Self {
                Self(self.0 & !(PAGE_SIZE - 1))
            }

            /// How far into its page it lies, in bytes (0 to 4095).
            #[must_use]
            pub const fn offset(self) -> u64 {
                self.0 & (PAGE_SIZE - 1)
            }

            /// The address `bytes` further on, from 0 again behind the last one: what the hardware's adders do.
            #[must_use]
            pub const fn wrapping_add(self, bytes: u64) -> Self {
                Self(self.0.wrapping_add(bytes))
            }

            /// How many bytes it lies behind `base`; `None` where it lies before it.
            #[must_use]
            pub const fn offset_from(self, base: Self) -> Option<u64> {
                self.0.checked_sub(base.0)
            }

            /// The last multiple of `size`, a power of two of bytes, that is not behind it.
            #[must_use]
            pub const fn align_down(self, size: u64) -> Self {
                Self(self.0 & !(size - 1))
            }

            /// The address `bytes` further on; `None` beyond 64 bits.
            #[must_use]
            pub fn checked_add(self, bytes: u64) -> Option<Self> {
                self.0.checked_add(bytes).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }

        impl fmt::LowerHex for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, f)
            }
        }

        impl Point for $name {
            fn at(number: u64) -> Self {
                Self(number)
            }

            fn number(self) -> u64 {
                self.0
            }
        }
    };
}

/// What a [`crate::Span`] runs along: the addresses of one address space, or (`u64`) a count such as StreamIDs.
pub trait Point: Copy + Ord {
    /// The point with this number.
    fn at(number: u64) -> Self;

    /// Its number: bytes from 0 for an address.
    fn number(self) -> u64;
}

impl Point for u64 {
    fn at(number: u64) -> Self {
        number
    }

    fn number(self) -> u64 {
        self
    }
}

/// An address that a machine has names for: a physical one, or an IPA, which the host's stage 2 maps to itself.
pub trait Named: Point {}

impl Named for PhysAddr {}
impl Named for Ipa {}

address! {
    /// An intermediate physical address: what the host, a guest or a device behind stage 2 believes to be physical.
    Ipa
}
address! {
    /// A physical address.
    PhysAddr
}
address! {
    /// A virtual address of EL2.
    HypVa
}

address! {
    /// A virtual address of an image that runs, as it is linked: of the hypervisor's, at EL2, or the test host's, at EL1.
    ImageVa
}

address! {
    /// An input address of a translation regime (IA): an IPA at stage 2, a virtual address at stage 1.
    InputAddr
}

impl From<Ipa> for InputAddr {
    fn from(ipa: Ipa) -> Self {
        Self(ipa.0)
    }
}

impl From<HypVa> for InputAddr {
    fn from(va: HypVa) -> Self {
        Self(va.0)
    }
}

impl From<HypVa> for ImageVa {
    fn from(va: HypVa) -> Self {
        Self(va.0)
    }
}

impl ImageVa {
    /// The address at EL2, of what is in the hypervisor's image.
    #[must_use]
    pub const fn at_el2(self) -> HypVa {
        HypVa(self.0)
    }
}

impl Ipa {
    /// The physical address that an identity map gives it.
    #[must_use]
    pub const fn identity(self) -> PhysAddr {
        PhysAddr(self.0)
    }

    /// The number of its page frame.
    #[must_use]
    pub const fn pfn(self) -> Pfn {
        Pfn(self.0 >> PAGE_SHIFT)
    }
}

impl PhysAddr {
    /// The number of its page frame.
    #[must_use]
    pub const fn pfn(self) -> Pfn {
        Pfn(self.0 >> PAGE_SHIFT)
    }

    /// The IPA that an identity map gives it.
    #[must_use]
    pub const fn identity(self) -> Ipa {
        Ipa(self.0)
    }
}

/// A page frame number: which page of 4 KiB. A hostile caller may name frames that no address has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pfn(u64);

impl Pfn {
    /// The frame with this number.
    #[must_use]
    pub const fn new(frames: u64) -> Self {
        Self(frames)
    }

    /// Its number, in frames from 0.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The IPA of its first byte; `None` where that is beyond 64 bits.
    #[must_use]
    pub fn ipa(self) -> Option<Ipa> {
        self.0.checked_mul(PAGE_SIZE).map(Ipa)
    }
}

impl fmt::Display for Pfn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_frames_convert_where_both_exist() {
        assert_eq!(Ipa::new(0x4000_1234).pfn(), Pfn::new(0x40001));
        assert_eq!(Pfn::new(0x40001).ipa(), Some(Ipa::new(0x4000_1000)));
        assert_eq!(Pfn::new(1 << 52).ipa(), None);
        assert_eq!(Ipa::new(0x4000_1234).page(), Ipa::new(0x4000_1000));
        assert_eq!(PhysAddr::new(0x4000_1234).offset(), 0x234);
    }

    #[test]
    fn nothing_wraps() {
        assert_eq!(Ipa::new(u64::MAX).checked_add(1), None);
        assert_eq!(HypVa::new(8).checked_add(8), Some(HypVa::new(16)));
    }
}
