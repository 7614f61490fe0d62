//! Registers of emulated devices, accessed as a whole or by halves.

use parallax_ops::Outcome;

use crate::step::Wrong;

/// A part of a register: its first bit, and how many it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part<R> {
    pub(crate) register: R,
    pub(crate) low: u32,
    pub(crate) bits: u32,
    /// It is all of it.
    whole: bool,
}

impl<R: Copy> Part<R> {
    /// Which of `registers` (offset, bytes, which) an access of `size` bytes at `offset` is to; nothing where it means nothing. A register of 64 bits takes halves.
    pub(crate) fn at(registers: &[(u64, u64, R)], offset: u64, size: u64) -> Option<Self> {
        let within = |(base, bytes, _): &&(u64, u64, R)| (*base..base + bytes).contains(&offset);
        let (base, bytes, register) = registers.iter().find(within)?;
        let whole = offset == *base && size == *bytes;
        let half = *bytes == 8 && size == 4 && (offset - base).is_multiple_of(4);
        let low = 8 * (offset - base) as u32;
        (whole || half).then_some(Self { register: *register, low, bits: 8 * size as u32, whole })
    }

    const fn mask(self) -> u64 {
        (u64::MAX >> (64 - self.bits)) << self.low
    }

    /// This part of `value`.
    pub(crate) const fn of(self, value: u64) -> u64 {
        (value & self.mask()) >> self.low
    }

    /// `old` with this part replaced by `value`; nothing where the rest is not known.
    pub(crate) const fn put(self, old: Option<u64>, value: u64) -> Option<u64> {
        let value = (value << self.low) & self.mask();
        match old {
            Some(old) => Some(old & !self.mask() | value),
            None if self.whole => Some(value),
            None => None,
        }
    }
}

/// That an access should end as `expected`, by `rule`.
pub(crate) fn wrong(rule: &str, says: &'static str, expected: Outcome) -> Wrong {
    Wrong { rule: rule.to_owned(), says, expected }
}

/// What is wrong with an access of `size` bytes at `offset` of emulated registers that was not performed. One that is not aligned is the
/// host's own mistake.
pub(crate) fn not_performed(rule: &str, offset: u64, size: u64) -> Option<Wrong> {
    let aligned = size.is_power_of_two() && offset.is_multiple_of(size);
    aligned.then(|| wrong(rule, "an access to a register is performed", Outcome::Ok { value: None }))
}

/// That `value`, which was read, should be `expected` in the bits of `mask`.
pub(crate) fn differs(rule: &str, (expected, mask): (u64, u64), value: u64) -> Option<Wrong> {
    let says = "what the host reads from a register of an emulated device";
    let whole = value & !mask | expected & mask;
    (whole != value).then(|| wrong(rule, says, Outcome::Ok { value: Some(whole) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_leaves_the_other() {
        let high = Part::at(&[(0x80, 8, ())], 0x84, 4).unwrap();
        assert_eq!(high.put(Some(0x1111_2222_3333_4444), 0xabcd), Some(0xabcd_3333_4444));
        assert_eq!(high.put(None, 0), None);
        assert_eq!(high.of(0x1111_2222_3333_4444), 0x1111_2222);
        let whole = Part::at(&[(0x80, 8, ())], 0x80, 8).unwrap();
        assert_eq!((whole.put(None, 5), whole.of(5)), (Some(5), 5));
        let short = Part::at(&[(0x88, 4, ())], 0x88, 4).unwrap();
        assert_eq!((short.put(None, 5), short.of(5)), (Some(5), 5));
    }
}
