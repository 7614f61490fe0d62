//! Numbers and words of monitor commands.

/// A number, in hexadecimal with `0x` before it, else in decimal.
///
/// # Errors
/// It is none; what to write instead.
pub fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("`{text}` is no number; write it as 0x1f or 31"))
}

/// An address: a number, or a place that `base` knows with `+N` behind it, N counted in units of `1 << shift` bytes and
/// the result too.
///
/// # Errors
/// It is none; what to write instead.
pub fn place(text: &str, shift: u32, base: impl Fn(&str) -> Option<u64>) -> Result<u64, String> {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return number(text);
    }
    let (name, offset) = match text.split_once('+') {
        Some((name, offset)) => (name, number(offset)?),
        None => (text, 0),
    };
    let start =
        base(name).ok_or_else(|| format!("no place is called `{name}`; write a number, or ram+0x20"))?;
    Ok((start >> shift).wrapping_add(offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(name: &str) -> Option<u64> {
        (name == "ram").then_some(0x4000_0000)
    }

    #[test]
    fn places_count_in_bytes_or_in_frames() {
        assert_eq!(place("ram+0x20000", 0, base), Ok(0x4002_0000));
        assert_eq!(place("ram+0x20", 12, base), Ok(0x4_0020));
        assert_eq!(place("ram", 0, base), Ok(0x4000_0000));
        assert_eq!(place("0x40020000", 0, base), Ok(0x4002_0000));
        assert_eq!(place("31", 0, base), Ok(31));
    }

    #[test]
    fn what_is_no_place_is_named() {
        for wrong in ["rom+1", "ram+x", "0xg", "-1", "", "ram+18446744073709551616"] {
            assert!(place(wrong, 0, base).is_err(), "{wrong}");
        }
    }
}
