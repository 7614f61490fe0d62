//! Registers, entries and commands as named bit fields.
//!
//! The macro `fields!` turns a list of fields into accessors, so that a name and its bits stand in one place.

pub use parallax_vmsa::regs::bits;

/// Where a field of a command stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The manual's name.
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
}

/// Defines `$ty(pub u64)` with accessors. A line is `name "NAME" [hi:lo] type;` where `type` is an integer type, `bool`, or
/// `addr` for an address in place.
macro_rules! fields {
    ($(#[$doc:meta])* $ty:ident { $($(#[$fdoc:meta])* $name:ident [$hi:literal : $lo:literal] $out:ident;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $ty(pub u64);

        impl $ty {
            $(
                $(#[$fdoc])*
                #[must_use]
                pub const fn $name(&self) -> $crate::fields::fields!(@type $out) {
                    $crate::fields::fields!(@get $out self.0, $hi, $lo)
                }
            )*
        }
    };
    (@type addr) => { parallax_addr::PhysAddr };
    (@type $out:ident) => { $out };
    (@get addr $value:expr, $hi:expr, $lo:expr) => {
        parallax_addr::PhysAddr::new($crate::fields::bits($value, $hi, $lo) << $lo)
    };
    (@get bool $value:expr, $hi:expr, $lo:expr) => { $crate::fields::bits($value, $hi, $lo) != 0 };
    (@get $out:ident $value:expr, $hi:expr, $lo:expr) => { $crate::fields::bits($value, $hi, $lo) as $out };
}
pub(crate) use fields;
