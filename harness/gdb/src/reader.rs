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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_hexadecimal_with_0x_only() {
        assert_eq!(number("0x1f"), Ok(31));
        assert_eq!(number("31"), Ok(31));
        for wrong in ["1f", "0xg", "-1", "", "18446744073709551616"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }
}
