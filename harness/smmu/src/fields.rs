//! Structures in memory as named bit fields.
//!
//! The macro `fields!` turns a list of fields into accessors and into a table for printing, so that a name
//! and its bits stand in one place; `register!` does it for a register.

pub use parallax_vmsa::regs::bits;

/// One field of a structure `T`.
#[derive(Debug)]
pub struct Field<T> {
    /// The specification's name.
    pub name: &'static str,
    /// Its value. Addresses keep their place: their low bits are 0.
    pub value: fn(&T) -> u64,
}

/// Defines accessors for `$ty(pub [u64; N])`. A line is
/// `name "NAME" dword[hi:lo] type;` where `type` is an integer type, `bool`, or `addr` for an address in place.
macro_rules! fields {
    ($ty:ident { $($(#[$doc:meta])* $name:ident $spec:literal $word:literal[$hi:literal : $lo:literal] $out:ident;)* }) => {
        impl $ty {
            /// Every field, in order of its bits.
            pub const FIELDS: &'static [$crate::fields::Field<Self>] =
                &[$($crate::fields::Field { name: $spec, value: |from| $crate::fields::fields!(@wide $out from.$name()) }),*];

            $(
                $(#[$doc])*
                #[must_use]
                pub const fn $name(&self) -> $crate::fields::fields!(@type $out) {
                    $crate::fields::fields!(@get $out self.0[$word], $hi, $lo)
                }
            )*
        }
    };
    (@type addr) => { u64 };
    (@type $out:ident) => { $out };
    (@get addr $value:expr, $hi:expr, $lo:expr) => { $crate::fields::bits($value, $hi, $lo) << $lo };
    (@get bool $value:expr, $hi:expr, $lo:expr) => { $crate::fields::bits($value, $hi, $lo) != 0 };
    (@get $out:ident $value:expr, $hi:expr, $lo:expr) => { $crate::fields::bits($value, $hi, $lo) as $out };
    (@wide addr $value:expr) => { $value };
    (@wide $out:ident $value:expr) => { u64::from($value) };
}
pub(crate) use fields;

/// Defines a register of up to 64 bits with its fields.
macro_rules! register {
    ($(#[$doc:meta])* $ty:ident { $($fields:tt)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $ty(pub [u64; 1]);
        $crate::fields::fields!($ty { $($fields)* });
    };
}
pub(crate) use register;
