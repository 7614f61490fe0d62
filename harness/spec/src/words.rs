//! The host's memory in the middle of a step.
//!
//! Memory can be looked at when a step is over. What an operation in the middle of it met is that, but for the words that
//! operations of the step write: those are known from when they were written on.

use std::cell::Cell;
use std::collections::BTreeMap;

use parallax_addr::{PAGE_SIZE, PhysAddr, Span};
use parallax_ops::data::Written;
use parallax_ops::{Agent, Data, Operation, Outcome};
use parallax_vmsa::{MemError, PhysMem};

use crate::view::View;

/// How long a write may be to be followed word by word, in bytes.
const MOST: u64 = 1 << 20;
/// How many words are remembered for the next step.
const REMEMBERED: usize = 1 << 16;

/// Words of 8 bytes, by address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    /// Those that operations of this step write, and what they hold now, as far as that is known.
    written: BTreeMap<u64, Option<u64>>,
    /// What the steps until now wrote.
    remembered: BTreeMap<u64, u64>,
    /// Of what is here and not among those nothing is known.
    forgotten: Vec<Span<PhysAddr>>,
    /// Whether a device may write anywhere in this step.
    wild: bool,
    /// Memory that hardware writes on its own.
    pub(crate) volatile: Option<Span<PhysAddr>>,
}

/// The addresses of the words of `span`.
fn words(span: Span<PhysAddr>) -> impl Iterator<Item = u64> {
    (span.base.get() & !7..span.end().get()).step_by(8)
}

impl Words {
    /// A step begins in which `operations` are performed. `goes_elsewhere` says of a stream whether it has a stage 1.
    pub(crate) fn begin<'a>(
        &mut self,
        operations: impl Iterator<Item = &'a Operation>,
        goes_elsewhere: impl Fn(u32) -> bool,
    ) {
        self.written.clear();
        self.forgotten.clear();
        self.wild = false;
        let (mut count, mut huge) = (0, false);
        for operation in operations {
            count += 1;
            let Some(data) = operation.data().filter(|data| data.written.is_some()) else { continue };
            if let Agent::Device(sid) = operation.footprint().agent {
                self.wild |= goes_elsewhere(sid.get());
            }
            huge |= data.span.size > MOST;
            for word in words(Span::new(data.span.base, data.span.size.min(MOST)).cast()) {
                self.written.insert(word, self.remembered.get(&word).copied());
            }
        }
        self.wild = huge || self.wild && count > 1;
    }

    /// The bytes of `data` from byte `from` on were written to `span`, or were not, or were in part.
    pub(crate) fn write(&mut self, span: Span<PhysAddr>, data: &Data, from: u64, done: bool) {
        let bytes = match &data.written {
            Some(Written::Bytes(bytes)) if done => bytes,
            Some(Written::Same) | None => return,
            _ => return self.forget(span),
        };
        if self.remembered.len() > REMEMBERED {
            self.remembered.clear();
        }
        for word in words(span) {
            let mut now = self.written.get(&word).copied().flatten().map(u64::to_le_bytes);
            if word >= span.base.get() && word + 8 <= span.end().get() {
                now = Some([0; 8]);
            }
            let Some(mut now) = now else { continue };
            for (at, byte) in (word..).zip(&mut now) {
                if let Some(offset) = at.checked_sub(span.base.get()).filter(|offset| *offset < span.size) {
                    *byte = bytes[(from + offset) as usize % bytes.len()];
                }
            }
            let now = u64::from_le_bytes(now);
            self.written.insert(word, Some(now));
            self.remembered.insert(word, now);
        }
    }

    /// `operation` was performed, which ended with `outcome`. Where devices `go_elsewhere`, nobody knows where they wrote.
    pub(crate) fn follow(&mut self, operation: &Operation, outcome: &Outcome, go_elsewhere: bool) {
        // What is given away is written by others, until it comes back.
        if let Some(pages) = operation.call().and_then(|_| operation.footprint().pages)
            && pages.size <= 64 * PAGE_SIZE
        {
            self.forget(pages.cast());
        }
        let Some(data) = operation.data().filter(|data| data.written.is_some()) else { return };
        if operation.is_device() && (go_elsewhere || data.span.size > MOST) {
            self.remembered.clear();
            self.written.values_mut().for_each(|value| *value = None);
        } else {
            self.write(data.span.cast(), &data, 0, matches!(outcome, Outcome::Ok { .. }));
        }
    }

    /// What `span` holds is not known any more, until the step is over.
    pub(crate) fn forget(&mut self, span: Span<PhysAddr>) {
        let first = span.base.get() & !7;
        let all = first..span.end().get().max(first);
        self.written.range_mut(all.clone()).for_each(|(_, value)| *value = None);
        let gone: Vec<u64> = self.remembered.range(all).map(|(word, _)| *word).collect();
        gone.iter().for_each(|word| _ = self.remembered.remove(word));
        self.forgotten.push(span);
    }
}

/// Memory as an emulated device may fetch from it: where the page is the host's.
pub(crate) struct Fetch<'a> {
    pub(crate) words: &'a Words,
    /// Memory at the end of the step.
    pub(crate) end: &'a dyn PhysMem,
    pub(crate) view: &'a dyn View,
    /// Whether something was asked for that is not known.
    pub(crate) unknown: Cell<bool>,
}

impl<'a> Fetch<'a> {
    pub(crate) fn new(words: &'a Words, end: &'a dyn PhysMem, view: &'a dyn View) -> Self {
        Self { words, end, view, unknown: Cell::new(false) }
    }

    fn word(&self, word: u64) -> Result<u64, MemError> {
        let at = PhysAddr::new(word);
        let span = Span::new(at, 8);
        let unknown = || {
            self.unknown.set(true);
            MemError { pa: at, len: 8 }
        };
        if self.words.volatile.is_some_and(|volatile| volatile.overlaps(span)) {
            return Err(unknown());
        }
        match self.words.written.get(&word) {
            Some(value) => value.ok_or_else(unknown),
            None if self.words.wild => Err(unknown()),
            None if self.words.forgotten.iter().any(|forgotten| forgotten.overlaps(span)) => Err(unknown()),
            None => {
                let mut bytes = [0; 8];
                self.end.read(at, &mut bytes)?;
                Ok(u64::from_le_bytes(bytes))
            }
        }
    }
}

impl PhysMem for Fetch<'_> {
    fn read(&self, pa: PhysAddr, buf: &mut [u8]) -> Result<(), MemError> {
        let span = Span::new(pa, buf.len() as u64);
        let refused = || MemError { pa, len: buf.len() };
        let pages = span.whole_pages().ok_or_else(refused)?;
        if self.view.pages(pages).iter().any(|(_, page)| !page.is_the_hosts() || !page.is_memory()) {
            return Err(refused());
        }
        for word in words(span) {
            let value = self.word(word)?.to_le_bytes();
            for (at, byte) in (word..).zip(value) {
                if let Some(offset) = at.checked_sub(pa.get()).filter(|offset| *offset < span.size) {
                    buf[offset as usize] = byte;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{Memory, Pages};

    #[test]
    fn what_was_given_away_is_not_known_until_the_step_is_over() {
        let mut words = Words::default();
        let known = |words: &Words, at: u64| {
            Fetch::new(words, &Memory::default(), &Pages).read(PhysAddr::new(at), &mut [0; 8]).is_ok()
        };
        words.forget(Span::new(PhysAddr::new(0x4000_1000), PAGE_SIZE));
        let all = [0x4000_0ff8, 0x4000_1000, 0x4000_1ff8, 0x4000_2000].map(|at| known(&words, at));
        assert_eq!(all, [true, false, false, true]);
        words.begin(std::iter::empty(), |_| false);
        assert!(known(&words, 0x4000_1000));
        // One that wraps is none.
        words.forget(Span::new(PhysAddr::new(!0xfff), 2 * PAGE_SIZE));
    }
}
