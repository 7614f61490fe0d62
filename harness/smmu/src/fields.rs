//! Structures in memory as named bit fields.
//!
//! The macro `fields!` turns a list of fields into accessors and into a table for printing, so that a name
//! and its bits stand in one place; `register!` does it for a register.

pub use parallax_vmsa::regs::bits;

/// Where a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The specification's name.
    pub name: &'static str,
    /// Which 64-bit word.
    pub word: usize,
    /// Highest bit in that word.
    pub hi: u32,
    /// Lowest bit in that word.
    pub lo: u32,
    /// An address: its value keeps its place in the word, and its low bits are 0.
    pub address: bool,
}

impl Place {
    pub(crate) const fn new(name: &'static str, word: usize, hi: u32, lo: u32) -> Self {
        Self { name, word, hi, lo, address: false }
    }

    pub(crate) const fn address(name: &'static str, word: usize, hi: u32, lo: u32) -> Self {
        Self { name, word, hi, lo, address: true }
    }

    /// The field's value in `raw`, 0 when that is too short.
    #[must_use]
    pub fn value(&self, raw: &[u64]) -> u64 {
        let value = raw.get(self.word).map_or(0, |word| bits(*word, self.hi, self.lo));
        if self.address { value << self.lo } else { value }
    }

    /// The bits of its word that it covers.
    #[must_use]
    pub const fn mask(&self) -> u64 {
        bits(u64::MAX, self.hi, self.lo) << self.lo
    }

    /// Its bits of its word when its value is `value`; `None` if that does not fit.
    #[must_use]
    pub const fn bits(&self, value: u64) -> Option<u64> {
        let shift = if self.address { 0 } else { self.lo };
        let bits = value << shift;
        if bits & !self.mask() == 0 && bits >> shift == value { Some(bits) } else { None }
    }

    /// Whether a bit belongs to both.
    #[must_use]
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.word == other.word && self.mask() & other.mask() != 0
    }
}

/// Defines accessors for `$ty(pub [u64; N])`. A line is
/// `name "NAME" dword[hi:lo] type;` where `type` is an integer type, `bool`, or `addr` for an address in place.
macro_rules! fields {
    ($ty:ident { $($(#[$doc:meta])* $name:ident $spec:literal $word:literal[$hi:literal : $lo:literal] $out:ident;)* }) => {
        impl $ty {
            /// Every field, in order of its bits.
            pub const FIELDS: &'static [$crate::fields::Place] =
                &[$($crate::fields::fields!(@place $out $spec, $word, $hi, $lo)),*];

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
    (@place addr $($at:expr),*) => { $crate::fields::Place::address($($at),*) };
    (@place $out:ident $($at:expr),*) => { $crate::fields::Place::new($($at),*) };
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
