//! Packets: `$data#checksum`, with escapes (`}`) and run lengths (`*`) in the data.

use bytes::{Buf, BytesMut};

use super::hex::digit;

/// The longest packet that is accepted, in bytes as they are sent.
pub const MAX_ENCODED: usize = 1 << 16;
/// The longest data that a packet may stand for, run lengths expanded.
pub const MAX_DECODED: usize = 1 << 20;

/// What arrives between packets, or a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The data of a packet, escapes and run lengths undone.
    Packet(Vec<u8>),
    /// `+`: the last packet arrived.
    Ack,
    /// `-`: the last packet arrived damaged.
    Nack,
}

/// Bytes that are no packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// A byte that begins nothing.
    #[error("unexpected byte {0:#04x} between packets")]
    Stray(u8),
    /// The checksum is not that of the data.
    #[error("checksum {found:#04x} on a packet whose bytes add up to {expected:#04x}")]
    Checksum {
        /// What the packet says.
        found: u8,
        /// What its data say.
        expected: u8,
    },
    /// The checksum is not two hexadecimal digits.
    #[error("a checksum that is no number")]
    ChecksumDigits,
    /// An escape or a run length that ends too early, or a run of nothing.
    #[error("a packet with a broken escape or run length")]
    BrokenEscape,
    /// More than [`MAX_ENCODED`] or [`MAX_DECODED`] bytes.
    #[error("a packet longer than {MAX_ENCODED} bytes")]
    TooLong,
}

/// Appends the packet for `data` to `out`.
pub fn encode(data: &[u8], out: &mut BytesMut) {
    out.reserve(data.len() + 4);
    out.extend_from_slice(b"$");
    let start = out.len();
    for &byte in data {
        if matches!(byte, b'$' | b'#' | b'}' | b'*') {
            out.extend_from_slice(&[b'}', byte ^ 0x20]);
        } else {
            out.extend_from_slice(&[byte]);
        }
    }
    let sum = checksum(&out[start..]);
    out.extend_from_slice(format!("#{sum:02x}").as_bytes());
}

/// Takes the first frame off `input`, if it is all there.
///
/// # Errors
/// `input` begins with something that is no frame; `input` is then left as it is.
pub fn decode(input: &mut BytesMut) -> Result<Option<Frame>, PacketError> {
    match input.first() {
        None => Ok(None),
        Some(b'+') => {
            input.advance(1);
            Ok(Some(Frame::Ack))
        }
        Some(b'-') => {
            input.advance(1);
            Ok(Some(Frame::Nack))
        }
        Some(b'$') => {
            let Some(end) = input.iter().take(MAX_ENCODED).position(|&byte| byte == b'#') else {
                return if input.len() >= MAX_ENCODED { Err(PacketError::TooLong) } else { Ok(None) };
            };
            let Some(&[high, low]) = input.get(end + 1..end + 3) else { return Ok(None) };
            let data = &input[1..end];
            let found = digit(high).zip(digit(low)).map(|(high, low)| high << 4 | low);
            let found = found.ok_or(PacketError::ChecksumDigits)?;
            let expected = checksum(data);
            if found != expected {
                return Err(PacketError::Checksum { found, expected });
            }
            let data = unescape(data)?;
            input.advance(end + 3);
            Ok(Some(Frame::Packet(data)))
        }
        Some(&stray) => Err(PacketError::Stray(stray)),
    }
}

fn checksum(data: &[u8]) -> u8 {
    data.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

fn unescape(data: &[u8]) -> Result<Vec<u8>, PacketError> {
    let mut out = Vec::with_capacity(data.len());
    let mut bytes = data.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'}' => out.push(bytes.next().ok_or(PacketError::BrokenEscape)? ^ 0x20),
            b'*' => {
                let length = *bytes.next().ok_or(PacketError::BrokenEscape)?;
                let repeats =
                    length.checked_sub(29).filter(|_| length >= b' ').ok_or(PacketError::BrokenEscape)?;
                let last = *out.last().ok_or(PacketError::BrokenEscape)?;
                out.extend(std::iter::repeat_n(last, usize::from(repeats)));
                if out.len() > MAX_DECODED {
                    return Err(PacketError::TooLong);
                }
            }
            _ => out.push(byte),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode_all(text: &[u8]) -> Result<Option<Frame>, PacketError> {
        decode(&mut BytesMut::from(text))
    }

    #[test]
    fn run_lengths_expand() {
        // "0* " is four zeros: one, and ' ' (32) - 29 = 3 more.
        assert_eq!(decode_all(b"$0* #7a"), Ok(Some(Frame::Packet(b"0000".to_vec()))));
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(decode_all(b"$}\x03#80"), Ok(Some(Frame::Packet(b"#".to_vec()))));
    }

    #[test]
    fn damage_is_told_apart() {
        assert_eq!(decode_all(b"$OK#9b"), Err(PacketError::Checksum { found: 0x9b, expected: 0x9a }));
        assert_eq!(decode_all(b"$OK#xx"), Err(PacketError::ChecksumDigits));
        assert_eq!(decode_all(b"$*!#4b"), Err(PacketError::BrokenEscape));
        assert_eq!(decode_all(b"$}#7d"), Err(PacketError::BrokenEscape));
        assert_eq!(decode_all(b"x"), Err(PacketError::Stray(b'x')));
    }

    #[test]
    fn an_endless_packet_is_cut_off() {
        let mut input = BytesMut::from(&b"$"[..]);
        input.extend_from_slice(&vec![b'a'; MAX_ENCODED]);
        assert_eq!(decode(&mut input), Err(PacketError::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(data: Vec<u8>) {
            let mut wire = BytesMut::new();
            encode(&data, &mut wire);
            prop_assert_eq!(decode(&mut wire), Ok(Some(Frame::Packet(data))));
            prop_assert!(wire.is_empty());
        }

        #[test]
        fn a_packet_is_not_taken_before_it_is_complete(data: Vec<u8>, cut: prop::sample::Index) {
            let mut wire = BytesMut::new();
            encode(&data, &mut wire);
            wire.truncate(cut.index(wire.len()));
            let before = wire.clone();
            prop_assert_eq!(decode(&mut wire), Ok(None));
            prop_assert_eq!(wire, before);
        }

        #[test]
        fn no_input_panics(bytes: Vec<u8>) {
            let mut wire = BytesMut::from(&bytes[..]);
            while matches!(decode(&mut wire), Ok(Some(_))) {}
        }
    }

    /// What goes over the wire between QEMU and this program, with run lengths and escapes.
    fn real() -> Vec<Vec<u8>> {
        let data: [&[u8]; 9] = [
            b"OK",
            b"0* ",
            b"T02thread:p01.01;",
            b"qXfer:features:read:target.xml:0,ffb",
            b"vCont;c:p1.-1",
            b"m40000000,1000",
            b"E14",
            b"}\x03}]a",
            b"l<?xml version=\"1.0\"?>",
        ];
        let framed =
            data.iter().map(|data| [b"$", *data, format!("#{:02x}", checksum(data)).as_bytes()].concat());
        framed.chain([b"+-+$OK#9a-$#00".to_vec()]).collect()
    }

    proptest! {
        #![proptest_config(parallax_hostile::cases(4096))]

        #[test]
        fn what_is_taken_is_sent_and_taken_again_the_same(bytes in parallax_hostile::changed(real()), right: bool) {
            let mut wire = BytesMut::from(&bytes[..]);
            if right && let Some(end) = wire.iter().rposition(|byte| *byte == b'#').filter(|_| wire.starts_with(b"$")) {
                // The checksum of what it has become.
                let sum = checksum(&wire[1..end]);
                wire.truncate(end + 1);
                wire.extend_from_slice(format!("{sum:02x}").as_bytes());
            }
            while let Ok(Some(frame)) = decode(&mut wire) {
                if let Frame::Packet(data) = frame {
                    prop_assert!(data.len() <= MAX_DECODED + 255);
                    let mut again = BytesMut::new();
                    encode(&data, &mut again);
                    prop_assert_eq!(decode(&mut again), Ok(Some(Frame::Packet(data))));
                }
            }
        }
    }
}
