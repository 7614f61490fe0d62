//! Hexadecimal text as the protocol writes it: two digits a byte, memory order.

/// The bytes that `text` stands for; none if a digit is missing or is none.
#[must_use]
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// `bytes` as text.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
    }
    text
}

/// The value of one digit.
#[must_use]
pub fn digit(c: u8) -> Option<u8> {
    char::from(c).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// A little-endian number of up to 8 bytes; none for anything longer or empty.
#[must_use]
pub fn little_endian(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || bytes.len() > 8 {
        return None;
    }
    Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_or_foreign_digits_are_refused() {
        assert_eq!(decode(b"00ffA5"), Some(vec![0, 0xff, 0xa5]));
        assert_eq!(decode(b"0"), None);
        assert_eq!(decode(b"0x"), None);
    }

    #[test]
    fn numbers_are_little_endian() {
        assert_eq!(little_endian(&[0x78, 0x56, 0x34, 0x12]), Some(0x1234_5678));
        assert_eq!(little_endian(&[0xff; 8]), Some(u64::MAX));
        assert_eq!(little_endian(&[0; 9]), None);
    }

    proptest::proptest! {
        #[test]
        fn text_stands_for_the_bytes_it_was_made_of(bytes: Vec<u8>) {
            proptest::prop_assert_eq!(decode(encode(&bytes).as_bytes()), Some(bytes));
        }
    }
}
