//! Address newtypes: one for every address space, so that they cannot be mixed up.

use core::fmt;

/// Bytes in a page: the 4 KiB granule is the only one the hypervisor uses.
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;
/// log2 of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;

macro_rules! address {
    ($(#[doc = $doc:literal])* $name:ident) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// This address plus `bytes`.
            #[must_use]
            pub const fn add(self, bytes: u64) -> Self { Self(self.0.wrapping_add(bytes)) }
            /// Rounded down to a multiple of `size` (a power of two, in bytes).
            #[must_use]
            pub const fn align_down(self, size: u64) -> Self { Self(self.0 & !(size - 1)) }
            /// Whether it is a multiple of `size` (a power of two, in bytes).
            #[must_use]
            pub const fn is_aligned(self, size: u64) -> bool { self.0 & (size - 1) == 0 }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#014x})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{:#014x}", self.0) }
        }
    };
}

address! {
    /// A physical address.
    PhysAddr
}
address! {
    /// An intermediate physical address: what a host or guest, or a device behind stage 2, believes to be physical.
    Ipa
}
address! {
    /// A virtual address of EL2.
    HypVa
}

impl Ipa {
    /// The physical address that the host's identity map gives this IPA.
    #[must_use]
    pub const fn identity(self) -> PhysAddr {
        PhysAddr(self.0)
    }
}

impl PhysAddr {
    /// The IPA under which the host's identity map shows this address.
    #[must_use]
    pub const fn identity(self) -> Ipa {
        Ipa(self.0)
    }
    /// The page frame that holds it.
    #[must_use]
    pub const fn pfn(self) -> Pfn {
        Pfn(self.0 >> PAGE_SHIFT)
    }
}

/// A page frame number: a physical address in units of 4 KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Pfn(pub u64);

impl Pfn {
    /// Its first byte; `None` when that does not fit a 52-bit physical address.
    #[must_use]
    pub const fn phys(self) -> Option<PhysAddr> {
        if self.0 >> (52 - PAGE_SHIFT) == 0 { Some(PhysAddr(self.0 << PAGE_SHIFT)) } else { None }
    }
}
