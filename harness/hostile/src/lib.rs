//! Real inputs with changes that hurt, for property tests of what reads inputs: traces, Casemate logs, recordings,
//! goldens, packets of gdb.
//!
//! Each test makes few of them. [`CASES`] in the environment says how many each makes; the night says many.
#![forbid(unsafe_code)]

mod ending;

use std::collections::BTreeSet;
use std::env;
use std::ops::Range;

use proptest::prelude::*;
use proptest::sample::{Index, select};

pub use ending::ending;

/// The variable that says how many cases each property is tried with.
pub const CASES: &str = "PARALLAX_HOSTILE_CASES";

/// What is put into an input.
const WORDS: &[&[u8]] = &[
    b"",
    b"(",
    b")",
    b"\"",
    b"\\",
    b"\\\\",
    b"\\\"",
    b"\\n",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b"\0",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"=",
    b"=>",
    b"#",
    b"$",
    b"*",
    b"+",
    b"-",
    b"- ",
    b"! ",
    b"&",
    b".",
    b"---",
    b"\xef\xbb\xbf",
    b"\xc3\xa9",
    b"\xff",
    b"0",
    b"-1",
    b"1e999",
    b"null",
    b"0x",
    b"0xffffffffffffffff",
    b"18446744073709551615",
    b"18446744073709551616",
    b"340282366920938463463374607431768211456",
];

/// Numbers at the ends of what some type holds.
const NUMBERS: &[&[u8]] = &[
    b"0",
    b"1",
    b"7f",
    b"80",
    b"ff",
    b"100",
    b"1ff",
    b"255",
    b"256",
    b"511",
    b"512",
    b"4095",
    b"65535",
    b"65536",
    b"ffffffff",
    b"4294967295",
    b"4294967296",
    b"7fffffffffffffff",
    b"ffffffffffffffff",
    b"fffffffffffff000",
    b"9223372036854775807",
    b"18446744073709551615",
    b"10000000000000000",
    b"99999999999999999999",
];

/// The few of them that most fields are wrong about.
const ENDS: &[&[u8]] =
    &[b"0", b"1", b"511", b"512", b"65535", b"4294967295", b"ffffffffffffffff", b"18446744073709551615"];

/// How many cases a property is tried with: `usual`, or as many as the environment says.
#[must_use]
pub fn cases(usual: u32) -> ProptestConfig {
    let said = env::var(CASES).ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: said.unwrap_or(usual), failure_persistence: None, ..ProptestConfig::default() }
}

/// A change of an input.
#[derive(Clone, Debug)]
enum Change {
    Cut(Index, Index),
    Repeat(Index, Index),
    Put(Index, &'static [u8]),
    Flip(Index, u8),
    Number(Index, &'static [u8]),
    /// The first number behind one of the names that stand in quotes before a colon: each name as often as any other one.
    Field(Index, Index, &'static [u8]),
    SwapLines(Index, Index),
    RepeatLine(Index, usize),
    RepeatWord(Index, usize),
    /// Ends too early, and with this.
    End(Index, &'static [u8]),
    /// Goes on as another input does.
    Splice(Index, Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        2 => (at(), at()).prop_map(|(from, to)| Change::Cut(from, to)),
        1 => (at(), at()).prop_map(|(from, to)| Change::Repeat(from, to)),
        4 => (at(), select(WORDS)).prop_map(|(at, word)| Change::Put(at, word)),
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Flip(at, byte)),
        6 => (at(), select(NUMBERS)).prop_map(|(at, number)| Change::Number(at, number)),
        6 => (at(), at(), select(ENDS)).prop_map(|(name, at, number)| Change::Field(name, at, number)),
        1 => (at(), at()).prop_map(|(one, other)| Change::SwapLines(one, other)),
        1 => (at(), 1..40_usize).prop_map(|(at, times)| Change::RepeatLine(at, times)),
        1 => (at(), 1..400_usize).prop_map(|(at, times)| Change::RepeatWord(at, times)),
        1 => (at(), select(WORDS)).prop_map(|(at, word)| Change::End(at, word)),
        1 => (at(), at(), at()).prop_map(|(which, from, to)| Change::Splice(which, from, to)),
    ]
}

impl Change {
    fn make(&self, input: &mut Vec<u8>, real: &[Vec<u8>]) {
        let place = |at: &Index, input: &[u8]| at.index(input.len() + 1);
        match self {
            Self::Cut(from, to) => {
                let (from, to) = ordered(place(from, input), place(to, input));
                // Not all of it at once: little is left to be wrong then.
                input.drain(from..to.min(from + 64));
            }
            Self::Repeat(from, to) => {
                let (from, to) = ordered(place(from, input), place(to, input));
                let piece = input[from..to.min(from + 256)].to_vec();
                input.splice(from..from, piece);
            }
            Self::Put(at, word) => {
                let at = place(at, input);
                input.splice(at..at, word.iter().copied());
            }
            Self::Flip(at, byte) => {
                if !input.is_empty() {
                    let at = at.index(input.len());
                    input[at] = *byte;
                }
            }
            Self::Number(at, number) => {
                let starts = numbers(input);
                if !starts.is_empty() {
                    put_number(input, starts[at.index(starts.len())], number);
                }
            }
            Self::Field(name, at, number) => {
                let keys = keys(input);
                let names: BTreeSet<&[u8]> = keys.iter().map(|key| &input[key.clone()]).collect();
                let Some(name) = names.iter().nth(name.index(names.len().max(1))) else { return };
                let ends: Vec<usize> =
                    keys.iter().filter(|key| input[(*key).clone()] == **name).map(|key| key.end).collect();
                let end = ends[at.index(ends.len())];
                if let Some(start) = numbers(input).into_iter().find(|start| *start > end) {
                    put_number(input, start, number);
                }
            }
            Self::SwapLines(one, other) => {
                let mut lines: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
                if !lines.is_empty() {
                    let count = lines.len();
                    lines.swap(one.index(count), other.index(count));
                    *input = lines.concat();
                }
            }
            Self::RepeatLine(at, times) => {
                let mut lines: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
                if !lines.is_empty() {
                    let at = at.index(lines.len());
                    let line = lines[at];
                    lines.splice(at..at, std::iter::repeat_n(line, *times));
                    *input = lines.concat();
                }
            }
            Self::RepeatWord(at, times) => {
                let at = place(at, input);
                let is_part = |byte: &&u8| byte.is_ascii_alphanumeric();
                let end = at + input[at..].iter().take_while(is_part).count();
                let begin = at - input[..at].iter().rev().take_while(is_part).count();
                let words = [&input[begin..end], b" "].concat().repeat(*times);
                input.splice(begin..begin, words);
            }
            Self::End(at, word) => {
                input.truncate(place(at, input));
                input.extend_from_slice(word);
            }
            Self::Splice(which, from, to) => {
                let Some(other) = real.get(which.index(real.len().max(1))) else { return };
                input.truncate(place(from, input));
                input.extend_from_slice(&other[place(to, other)..]);
            }
        }
    }
}

/// Where numbers begin.
fn numbers(input: &[u8]) -> Vec<usize> {
    let digit = |at: usize| input[at].is_ascii_digit();
    (0..input.len())
        .filter(|at| {
            digit(*at) && (*at == 0 || !input[at - 1].is_ascii_alphanumeric() || input[at - 1] == b'x')
        })
        .collect()
}

/// Names in quotes before a colon, without the quotes.
fn keys(input: &[u8]) -> Vec<Range<usize>> {
    let quotes: Vec<usize> = (0..input.len()).filter(|at| input[*at] == b'"').collect();
    let pairs = quotes.windows(2).filter(|pair| input.get(pair[1] + 1) == Some(&b':'));
    pairs.map(|pair| pair[0] + 1..pair[1]).collect()
}

/// Puts `number` in the place of the one that begins at `from`.
fn put_number(input: &mut Vec<u8>, from: usize, number: &[u8]) {
    let length = input[from..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    input.splice(from..from + length, number.iter().copied());
}

fn ordered(one: usize, other: usize) -> (usize, usize) {
    (one.min(other), one.max(other))
}

/// One of `real`, of which there is at least one, with up to six changes.
pub fn changed(real: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    assert!(!real.is_empty(), "no real input");
    // One change alone goes deepest: two are seldom read beyond the first.
    let few = prop_oneof![
        2 => proptest::collection::vec(change(), 1..=1),
        1 => proptest::collection::vec(change(), 0..=6),
    ];
    (any::<Index>(), few).prop_map(move |(which, changes)| {
        let mut input = real[which.index(real.len())].clone();
        for change in &changes {
            change.make(&mut input, &real);
        }
        input
    })
}

/// The same of texts: what is no character becomes U+FFFD.
pub fn changed_text(real: Vec<String>) -> impl Strategy<Value = String> {
    let real = real.into_iter().map(String::into_bytes).collect();
    changed(real).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    use super::*;

    #[test]
    fn inputs_differ_from_real_ones_and_from_each_other() {
        let real = vec!["one 1\ntwo 2\n".to_owned(), "three 0x3\n".to_owned()];
        let strategy = changed_text(real.clone());
        let mut runner = TestRunner::deterministic();
        let mut seen: Vec<String> =
            (0..100).map(|_| strategy.new_tree(&mut runner).expect("an input").current()).collect();
        assert!(seen.iter().any(|text| real.contains(text)), "some are as they are");
        assert!(seen.iter().any(|text| text.contains("18446744073709551615")), "numbers at their ends");
        seen.sort();
        seen.dedup();
        assert!(seen.len() > 60, "{}", seen.len());
    }
}
