//! Which bytes an operation reads and writes, if translation lets it.

use parallax_addr::{Ipa, Span};

use crate::answer::Answer;
use crate::operation::{CpuAccess, DmaAccess, Operation};

/// What an operation does to the bytes of one span of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// The bytes that it touches: IPAs.
    pub span: Span<Ipa>,
    /// What it leaves there; `None` if it only reads.
    pub written: Option<Written>,
    /// Whether what it reads is told, from the span's first byte on.
    pub reads: bool,
}

/// What a write leaves in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// These bytes, from the span's first on and repeated.
    Bytes(Vec<u8>),
    /// One of two u64, if it was done at all: two CPUs took turns.
    Either([u64; 2]),
    /// What was there.
    Same,
}

impl Written {
    /// Whether `now` is what such a write leaves of what was there `before`.
    #[must_use]
    pub fn is_in(&self, now: &[u8], before: &[u8]) -> bool {
        match self {
            Self::Bytes(bytes) => now.iter().eq(bytes.iter().cycle().take(now.len())),
            Self::Either(values) => values.iter().any(|value| now == value.to_le_bytes()) || now == before,
            Self::Same => now == before,
        }
    }
}

impl Data {
    /// Whether what `answer` says was read is what memory held `before`, in the bytes of the span.
    #[must_use]
    pub fn agrees(&self, answer: &Answer, before: &[u8]) -> bool {
        let told = answer.read.iter().flat_map(|value| value.to_le_bytes());
        !self.reads || told.zip(before).all(|(told, held)| told == *held)
    }
}

impl Operation {
    /// The bytes that it moves; nothing for calls, instruction fetches and table walks.
    #[must_use]
    pub fn data(&self) -> Option<Data> {
        let of = |ipa: Ipa, size, written: Option<Vec<u8>>, reads| {
            Some(Data { span: Span::new(ipa, size), written: written.map(Written::Bytes), reads })
        };
        let bytes = |values: &[u64]| Some(values.iter().flat_map(|value| value.to_le_bytes()).collect());
        match *self {
            Self::Access(access) => match access {
                CpuAccess::Read { ipa, size, .. } => of(ipa, size, None, true),
                CpuAccess::ReadPair { ipa } => of(ipa, 16, None, true),
                CpuAccess::Write { ipa, size, value, .. } => of(ipa, size, bytes(&[value]), false),
                CpuAccess::WritePair { ipa, value, second } => of(ipa, 16, bytes(&[value, second]), false),
                CpuAccess::WriteEntry { ipa, value, second, third, fourth } => {
                    of(ipa, 32, bytes(&[value, second, third, fourth]), false)
                }
                CpuAccess::Swap { ipa, value } => of(ipa, 8, bytes(&[value]), true),
                CpuAccess::Atomic { ipa } => {
                    Some(Data { span: Span::new(ipa, 8), written: Some(Written::Same), reads: true })
                }
                CpuAccess::Race { ipa, value, second, .. } => Some(Data {
                    span: Span::new(ipa, 8),
                    written: Some(Written::Either([value, second])),
                    reads: false,
                }),
                CpuAccess::Execute { .. } | CpuAccess::Walk { .. } | CpuAccess::Probe { .. } => None,
            },
            Self::Dma(DmaAccess::Read { ipa, len, .. }) => of(ipa, len, None, true),
            Self::Dma(DmaAccess::Write { ipa, len, value, .. }) => of(ipa, len, bytes(&[value]), false),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use parallax_abi::mailbox::{Response, kind};

    use super::*;
    use crate::operation::{row, rows};

    fn operation(word: &str, args: &[u64]) -> Operation {
        Operation::new(row(word).unwrap(), args).unwrap()
    }

    #[test]
    fn every_access_that_moves_data_is_known_to() {
        let moving = |word: &str| operation(word, &vec![8; row(word).unwrap().params.len()]).data().is_some();
        let still = |word: &str| matches!(word, "host_exec" | "host_walk" | "host_probe");
        for row in rows() {
            let access =
                row.name.starts_with("host_") && !row.name.ends_with("hyp") && !row.name.ends_with("mmio");
            let device = row.name.starts_with("dma_");
            assert_eq!(moving(row.name), (access || device) && !still(row.name), "{}", row.name);
        }
    }

    #[test]
    fn a_swap_leaves_its_value_and_tells_what_was_there() {
        let swap = operation("host_swap", &[0x1000, 0x0807_0605_0403_0201]);
        let data = swap.data().unwrap();
        assert!(data.written.as_ref().unwrap().is_in(&[1, 2, 3, 4, 5, 6, 7, 8], &[0; 8]));
        assert!(!data.written.as_ref().unwrap().is_in(&[0; 8], &[0; 8]));
        let answer = Answer::of(&swap, &Response { kind: kind::OK, x: [7, 0, 0, 0], ..Response::default() });
        assert!(data.agrees(&answer, &7_u64.to_le_bytes()));
        assert!(!data.agrees(&answer, &8_u64.to_le_bytes()));
    }

    #[test]
    fn a_pair_has_two_halves() {
        let data = operation("host_write_pair", &[0x1000, 1, 2]).data().unwrap();
        let both = [1_u64.to_le_bytes(), 2_u64.to_le_bytes()].concat();
        assert!(data.written.as_ref().unwrap().is_in(&both, &[0; 16]));
        assert!(!data.written.unwrap().is_in(&[1_u64.to_le_bytes(); 2].concat(), &[0; 16]));
        let read = operation("host_read_pair", &[0x1000]);
        let answer = Answer::of(&read, &Response { kind: kind::OK, x: [1, 3, 0, 0], ..Response::default() });
        assert!(!read.data().unwrap().agrees(&answer, &both));
    }

    #[test]
    fn an_entry_has_four_dwords_in_the_order_of_memory() {
        let data = operation("host_write_entry", &[0x1000, 1, 2, 3, 4]).data().unwrap();
        let all: Vec<u8> = (1..=4_u64).flat_map(u64::to_le_bytes).collect();
        assert_eq!((data.span, data.reads), (Span::new(Ipa::new(0x1000), 32), false));
        assert!(data.written.as_ref().unwrap().is_in(&all, &[0; 32]));
        let without_first = [&[0; 8], &all[8..]].concat();
        assert!(!data.written.unwrap().is_in(&without_first, &[0; 32]));
    }

    #[test]
    fn a_dma_write_repeats_its_value() {
        let data = operation("dma_write", &[8, 0x1000, 12, 0x0807_0605_0403_0201]).data().unwrap();
        assert!(data.written.unwrap().is_in(&[1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4], &[0; 12]));
    }
}
