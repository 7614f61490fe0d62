//! Sizes of memory as people write them.

use std::ops::RangeInclusive;

use super::{MEMORY, MEMORY_STEP};

/// No size of memory that a machine can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a size from {} to {}, such as 256M", Size(self.0), Size(self.1))]
pub struct NotASize(u64, u64);

/// A size in bytes, as it is written: `256M`, `4G`.
pub(super) struct Size(pub(super) u64);

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            bytes if bytes.is_multiple_of(1 << 30) => write!(f, "{}G", bytes >> 30),
            bytes => write!(f, "{}M", bytes >> 20),
        }
    }
}

/// Bytes of `256M` or `4G`, from `least` bytes to the most that a machine can have.
///
/// # Errors
/// Something else, or a size out of range.
pub fn parse_size(text: &str, least: u64) -> Result<u64, NotASize> {
    let range = RangeInclusive::new(least.max(*MEMORY.start()), *MEMORY.end());
    let wrong = NotASize(*range.start(), *range.end());
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'M') => (&text[..text.len() - 1], 20),
        Some(b'G') => (&text[..text.len() - 1], 30),
        _ => return Err(wrong),
    };
    let count = parallax_addr::parse_number(digits).ok_or(wrong)?;
    let bytes = count.checked_mul(1 << shift).ok_or(wrong)?;
    (range.contains(&bytes) && bytes.is_multiple_of(MEMORY_STEP)).then_some(bytes).ok_or(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit_and_a_range() {
        assert_eq!(parse_size("256M", 0), Ok(256 << 20));
        assert_eq!(parse_size("8G", 0), Ok(8 << 30));
        for text in ["", "M", "256", "127M", "129M", "9G", "0x7fffffffffffffffG", "é"] {
            let error = parse_size(text, 0).unwrap_err().to_string();
            assert_eq!(error, "a size from 128M to 8G, such as 256M", "{text}");
        }
        assert_eq!(
            parse_size("256M", 512 << 20).unwrap_err().to_string(),
            "a size from 512M to 8G, such as 256M"
        );
    }
}
