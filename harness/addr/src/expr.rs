//! Numbers and symbolic addresses as people write them: `0x40`, `ram+0x20000`, `ram_end-1`, `mmio:uart`.

use std::fmt;
use std::str::FromStr;

use winnow::ascii::{digit1, hex_digit1};
use winnow::combinator::{alt, opt, preceded};
use winnow::token::{one_of, take_while};
use winnow::{Parser, Result};

/// A place whose address is known once the machine has booted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Symbol {
    /// `ram`: RAM.
    Ram,
    /// `hyp`: the hypervisor's image.
    Hyp,
    /// `pool`: the hypervisor's page pool.
    Pool,
    /// `hyp_gap`: the memory between image and pool, which stays the host's.
    Gap,
    /// `host`: the test host's image.
    Host,
    /// `mmio:NAME`: a device.
    Mmio(String),
    /// `call:NAME`: no place, but the number of a hypercall that the hypervisor itself has under this name.
    Call(String),
}

impl Symbol {
    /// The symbol that prints as `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "ram" => Self::Ram,
            "hyp" => Self::Hyp,
            "pool" => Self::Pool,
            "hyp_gap" => Self::Gap,
            "host" => Self::Host,
            _ => {
                let (kind, name) = name.split_once(':').filter(|(_, name)| !name.is_empty())?;
                match kind {
                    "mmio" => Self::Mmio(name.to_owned()),
                    "call" => Self::Call(name.to_owned()),
                    _ => return None,
                }
            }
        })
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ram => f.write_str("ram"),
            Self::Hyp => f.write_str("hyp"),
            Self::Pool => f.write_str("pool"),
            Self::Gap => f.write_str("hyp_gap"),
            Self::Host => f.write_str("host"),
            Self::Mmio(name) => write!(f, "mmio:{name}"),
            Self::Call(name) => write!(f, "call:{name}"),
        }
    }
}

/// A symbol's first byte, or the first byte behind it (`ram_end`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Base {
    /// The place.
    pub symbol: Symbol,
    /// Its end instead of its beginning.
    pub end: bool,
}

/// A number, or a place plus a number. Arithmetic wraps at 64 bits. [`FromStr`] reads what [`fmt::Display`] prints.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Expr {
    /// The place, if it is symbolic.
    pub base: Option<Base>,
    /// The number, or the offset from the place (negative offsets as two's complement).
    pub offset: u64,
}

impl Expr {
    /// A plain number.
    #[must_use]
    pub const fn number(value: u64) -> Self {
        Self { base: None, offset: value }
    }
}

/// How a number is written: small ones in decimal, the rest in hexadecimal.
#[derive(Clone, Copy, Debug)]
pub struct Number(pub u64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 10 { write!(f, "{}", self.0) } else { write!(f, "{:#x}", self.0) }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Base { symbol, end }) = &self.base else {
            return Number(self.offset).fmt(f);
        };
        write!(f, "{symbol}{}", if *end { "_end" } else { "" })?;
        match self.offset {
            0 => Ok(()),
            offset if offset.cast_signed() < 0 => write!(f, "-{}", Number(offset.wrapping_neg())),
            offset => write!(f, "+{}", Number(offset)),
        }
    }
}

/// What was written is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {}", NotAnAddress::EXPECTED)]
pub struct NotAnAddress;

impl NotAnAddress {
    /// What may stand where an address is expected.
    pub const EXPECTED: &'static str =
        "a number or an address such as 0x40000000, ram+0x1000, ram_end-1, hyp, pool_end, host or mmio:uart";
}

fn number(input: &mut &str) -> Result<u64> {
    let hex = preceded("0x", hex_digit1).verify_map(|digits| u64::from_str_radix(digits, 16).ok());
    let decimal = digit1.verify_map(|digits: &str| digits.parse().ok());
    alt((hex, decimal)).parse_next(input)
}

fn base(input: &mut &str) -> Result<Base> {
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let whole = (opt(alt(("mmio:", "call:"))), take_while(1.., name)).take();
    let known = whole.verify_map(|name: &str| {
        let (stem, end) = name.strip_suffix("_end").map_or((name, false), |stem| (stem, true));
        Symbol::from_name(stem).map(|symbol| Base { symbol, end })
    });
    { known }.parse_next(input)
}

fn expr(input: &mut &str) -> Result<Expr> {
    let symbolic = (base, opt((one_of(['+', '-']), number))).map(|(base, offset)| {
        let offset = match offset {
            None => 0,
            Some(('-', value)) => value.wrapping_neg(),
            Some((_, value)) => value,
        };
        Expr { base: Some(base), offset }
    });
    alt((number.map(Expr::number), symbolic)).parse_next(input)
}

impl FromStr for Expr {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> std::result::Result<Self, NotAnAddress> {
        expr.parse(text).map_err(|_| NotAnAddress)
    }
}

/// Reads a number of at most 64 bits, in decimal or with `0x` in hexadecimal; nothing if `text` is none.
#[must_use]
pub fn parse_number(text: &str) -> Option<u64> {
    number.parse(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn canonical_text_is_what_was_meant() {
        for (written, canonical) in [
            ("16", "0x10"),
            ("0x9", "9"),
            ("ram+16", "ram+0x10"),
            ("ram_end-1", "ram_end-1"),
            ("hyp-8", "hyp-8"),
            ("hyp_gap+8", "hyp_gap+8"),
            ("pool_end", "pool_end"),
            ("mmio:uart+0x18", "mmio:uart+0x18"),
            ("mmio:pcie_mmio_end-4", "mmio:pcie_mmio_end-4"),
            ("0xffffffffffffffff", "0xffffffffffffffff"),
            ("host+0", "host"),
        ] {
            assert_eq!(written.parse::<Expr>().unwrap().to_string(), canonical);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_as_a_whole() {
        for text in [
            "",
            "rom",
            "ram+",
            "ram+-1",
            "0x",
            "0x1_0",
            "ram+0x1g",
            "mmio:",
            "mmio:_end",
            "18446744073709551616",
            "-1",
        ] {
            assert_eq!(text.parse::<Expr>(), Err(NotAnAddress), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_it_does_not_panic(text in ".{0,40}") {
            let _ = text.parse::<Expr>();
        }

        #[test]
        fn what_is_printed_reads_back(offset: u64, end: bool, symbol in 0..7_usize) {
            let symbol = ["ram", "hyp", "pool", "hyp_gap", "host", "mmio:uart"].get(symbol);
            let base = symbol.map(|name| Base { symbol: Symbol::from_name(name).unwrap(), end });
            let expr = Expr { base, offset };
            prop_assert_eq!(expr.to_string().parse::<Expr>(), Ok(expr));
        }
    }
}
