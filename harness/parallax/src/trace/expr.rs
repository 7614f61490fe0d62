//! Numbers and symbolic addresses: `0x40`, `ram+0x20000`, `ram_end-1`, `mmio:uart`.

use std::fmt;
use std::ops::Range;

use winnow::ascii::{digit1, hex_digit1};
use winnow::combinator::{alt, opt, preceded};
use winnow::token::{one_of, take_while};
use winnow::{LocatingSlice, Parser, Result};

use super::error::Problem;
use super::syntax::Token;

/// What may stand where an address is expected; used in messages.
pub(super) const ADDRESS_HINT: &str =
    "a number or an address such as 0x40000000, ram+0x1000, ram_end-1, hyp, pool_end, host or mmio:uart";

/// A place whose address is known once the machine has booted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Symbol {
    /// `ram`: RAM.
    Ram,
    /// `hyp`: the hypervisor's image.
    Hyp,
    /// `pool`: the hypervisor's page pool.
    Pool,
    /// `host`: the test host's image.
    Host,
    /// `mmio:NAME`: a device.
    Mmio(String),
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ram => f.write_str("ram"),
            Self::Hyp => f.write_str("hyp"),
            Self::Pool => f.write_str("pool"),
            Self::Host => f.write_str("host"),
            Self::Mmio(name) => write!(f, "mmio:{name}"),
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

/// A number, or a place plus a number. Arithmetic wraps at 64 bits.
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
pub(super) struct Number(pub(super) u64);

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

type Input<'a> = LocatingSlice<&'a str>;

fn number(input: &mut Input<'_>) -> Result<u64> {
    let hex = preceded("0x", hex_digit1).verify_map(|digits| u64::from_str_radix(digits, 16).ok());
    let decimal = digit1.verify_map(|digits: &str| digits.parse().ok());
    alt((hex, decimal)).parse_next(input)
}

fn base(input: &mut Input<'_>) -> Result<Base> {
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mmio = preceded("mmio:", take_while(1.., name)).map(|name: &str| Base {
        symbol: Symbol::Mmio(name.strip_suffix("_end").unwrap_or(name).to_owned()),
        end: name.ends_with("_end"),
    });
    let plain = take_while(1.., name).verify_map(|name: &str| {
        let (stem, end) = name.strip_suffix("_end").map_or((name, false), |stem| (stem, true));
        let symbol = match stem {
            "ram" => Symbol::Ram,
            "hyp" => Symbol::Hyp,
            "pool" => Symbol::Pool,
            "host" => Symbol::Host,
            _ => return None,
        };
        Some(Base { symbol, end })
    });
    alt((mmio, plain)).parse_next(input)
}

fn expr(input: &mut Input<'_>) -> Result<Expr> {
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

fn whole<'a, T>(
    token: &Token<'a>,
    expected: &str,
    mut parser: impl FnMut(&mut Input<'a>) -> Result<T>,
) -> Result<T, Problem> {
    (|input: &mut Input<'a>| parser(input)).parse(LocatingSlice::new(token.text)).map_err(|_| {
        let whole: Range<usize> = token.span.clone();
        Problem::new(whole, format!("`{}`", token.text), expected)
    })
}

/// Reads a number of at most 64 bits.
pub(super) fn parse_number(token: &Token<'_>, expected: &str) -> Result<u64, Problem> {
    whole(token, expected, number)
}

/// Reads a number or a symbolic address.
pub(super) fn parse_expr(token: &Token<'_>) -> Result<Expr, Problem> {
    whole(token, ADDRESS_HINT, expr)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Expr, Problem> {
        parse_expr(&Token { text, span: 5..5 + text.len() })
    }

    #[test]
    fn canonical_text_is_what_was_meant() {
        for (written, canonical) in [
            ("16", "0x10"),
            ("0x9", "9"),
            ("ram+16", "ram+0x10"),
            ("ram_end-1", "ram_end-1"),
            ("hyp-8", "hyp-8"),
            ("pool_end", "pool_end"),
            ("mmio:uart+0x18", "mmio:uart+0x18"),
            ("mmio:pcie_mmio_end-4", "mmio:pcie_mmio_end-4"),
            ("0xffffffffffffffff", "0xffffffffffffffff"),
            ("host+0", "host"),
        ] {
            assert_eq!(parse(written).unwrap().to_string(), canonical);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_as_a_whole() {
        for text in
            ["rom", "ram+", "ram+-1", "0x", "0x1_0", "ram+0x1g", "mmio:", "18446744073709551616", "-1"]
        {
            let problem = parse(text).unwrap_err();
            assert_eq!(problem.span, 5..5 + text.len(), "{text}");
            assert_eq!(problem.expected, ADDRESS_HINT);
        }
    }
}
