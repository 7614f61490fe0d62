//! Numbers that are no addresses.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[doc = $doc:literal])* $name:ident($number:ty)) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name($number);

        impl $name {
            /// The one with this number.
            #[must_use]
            pub const fn new(number: $number) -> Self {
                Self(number)
            }

            /// Its number.
            #[must_use]
            pub const fn get(self) -> $number {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    };
}

id! {
    /// VTTBR_EL2.VMID, STE.S2VMID: whose stage-2 translations a TLB entry holds.
    Vmid(u16)
}
id! {
    /// Which stream of a device a transaction belongs to (IHI 0070, 3.2).
    StreamId(u32)
}
id! {
    /// How the hypervisor names a virtual machine to its host.
    VmHandle(u32)
}
