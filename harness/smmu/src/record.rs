//! Records of a queue as named fields that depend on the record's kind.
//!
//! A kind (a command's opcode, an event's number) has a name and a list of fields. What is set outside of these
//! is reserved and must be 0.

use std::fmt;

use crate::fields::Place;

/// Bits of `raw` that no field of `places` and not the kind (word 0, bits 7:0) covers.
pub(crate) fn reserved<const N: usize>(raw: &[u64; N], places: &[Place]) -> [u64; N] {
    std::array::from_fn(|word| {
        let kind = if word == 0 { 0xff } else { 0 };
        let here = places.iter().filter(|place| place.word == word);
        let known = here.fold(kind, |known, place| known | place.mask());
        raw[word] & !known
    })
}

/// Writes `name FIELD=value …`, small numbers in decimal, addresses and large numbers in hexadecimal.
pub(crate) fn write(f: &mut fmt::Formatter<'_>, name: &str, places: &[Place], raw: &[u64]) -> fmt::Result {
    f.write_str(name)?;
    for place in places {
        match place.value(raw) {
            value if place.address || value > 0xffff => write!(f, " {}={value:#x}", place.name)?,
            value => write!(f, " {}={value}", place.name)?,
        }
    }
    Ok(())
}

/// Defines an enum of kinds: `Variant = number, "NAME", [places];`. Each number that is not listed is `Unknown`.
macro_rules! kinds {
    ($(#[$doc:meta])* $ty:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal, $name:literal, $places:expr;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $ty {
            $($(#[$vdoc])* $variant,)*
            /// A number without a meaning.
            Unknown(u8),
        }

        impl $ty {
            /// Every kind that has a name.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The kind with this number.
            #[must_use]
            pub const fn from_number(number: u8) -> Self {
                match number { $($number => Self::$variant,)* other => Self::Unknown(other) }
            }

            /// Its number.
            #[must_use]
            pub const fn number(self) -> u8 {
                match self { $(Self::$variant => $number,)* Self::Unknown(number) => number }
            }

            /// The specification's name, `UNKNOWN` for a number without a meaning.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* Self::Unknown(_) => "UNKNOWN" }
            }

            /// Its fields, in order of their bits.
            #[must_use]
            pub const fn places(self) -> &'static [$crate::fields::Place] {
                match self { $(Self::$variant => const { $places },)* Self::Unknown(_) => &[] }
            }
        }
    };
}
pub(crate) use kinds;
