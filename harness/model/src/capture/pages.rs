//! The page-state array, decoded page by page of the array, and only where its bytes changed.

use parallax_addr::{PAGE_SHIFT, PAGE_SIZE, PhysAddr, Span};
use parallax_vmsa::{PhysMem, changed_part};

use crate::page::PageState;
use crate::run::{self, Run};
use crate::runs::Runs;

/// Bytes of the array that are compared and decoded at a time.
const CHUNK: u64 = PAGE_SIZE;
/// Most entries that are believed: 64 GiB of memory.
const MOST: u64 = 1 << 24;
/// Highest page frame number of a 52-bit physical address.
const LAST_PFN: u64 = (1 << 40) - 1;

/// States of pages.
type States = Vec<Run<PhysAddr, PageState>>;

/// What was last seen.
#[derive(Debug, Default)]
pub(super) struct PagesCache {
    array: (u64, u64, u64),
    chunks: Vec<Chunk>,
    /// When that was, if every chunk has a version.
    moment: Option<u64>,
    /// All chunks' runs.
    runs: Runs<PhysAddr, PageState>,
}

#[derive(Debug, Default)]
struct Chunk {
    version: Option<u64>,
    bytes: Vec<u8>,
    runs: States,
}

impl PagesCache {
    /// The states of `nr` frames from `first_pfn` on, whose array stands at physical address `array`.
    pub(super) fn capture(
        &mut self,
        mem: &dyn PhysMem,
        (array, first_pfn, nr): (u64, u64, u64),
        faults: &mut Vec<String>,
    ) -> Runs<PhysAddr, PageState> {
        if nr > MOST || first_pfn > LAST_PFN {
            faults.push(format!("the page-state array claims {nr:#x} entries from frame {first_pfn:#x} on"));
            return Runs::default();
        }
        if self.array != (array, first_pfn, nr) {
            self.array = (array, first_pfn, nr);
            self.moment = None;
            self.chunks.clear();
            self.chunks.resize_with((nr * 8).div_ceil(CHUNK) as usize, Chunk::default);
        }
        let written = self.moment.and_then(|moment| mem.written(moment));
        let numbers: Vec<u64> = match &written {
            Some(written) => {
                let chunks = self.chunks.len() as u64;
                let inside = written.iter().filter_map(|page| page.offset_from(PhysAddr::new(array)));
                inside.map(|offset| offset / CHUNK).filter(|number| *number < chunks).collect()
            }
            None => (0..self.chunks.len() as u64).collect(),
        };
        let mut all = Vec::with_capacity(if written.is_none() { self.runs.len() } else { 0 });
        self.moment = mem.moment();
        let mut buffer = [0; CHUNK as usize];
        for number in numbers {
            let chunk = &mut self.chunks[number as usize];
            let bytes = &mut buffer[..(nr * 8 - number * CHUNK).min(CHUNK) as usize];
            let at = PhysAddr::new(array).wrapping_add(number * CHUNK);
            // A chunk of an array that begins inside a page is in two pages.
            let version = if at.offset() == 0 { mem.version(at) } else { None };
            if version.is_none() {
                self.moment = None;
            }
            if version.is_none() || chunk.version != version {
                if let Err(error) = mem.read(at, bytes) {
                    faults.push(format!("the page-state array cannot be read: {error}"));
                    self.moment = None;
                    return if written.is_some() { self.runs.clone() } else { all.into() };
                }
                let first = PhysAddr::new((first_pfn + number * (CHUNK / 8)) << PAGE_SHIFT);
                if let Some((span, runs)) = chunk.follow(bytes, first)
                    && written.is_some()
                {
                    run::replace(self.runs.make_mut(), span, &runs);
                }
                chunk.version = version;
            }
            if written.is_none() {
                chunk.runs.iter().for_each(|run| run::push(&mut all, *run));
            }
        }
        if written.is_none() {
            self.runs.update(all);
        }
        self.runs.clone()
    }
}

impl Chunk {
    /// Takes what the chunk holds now; its first frame is at `pa`. Gives what changed, if anything did.
    fn follow(&mut self, bytes: &[u8], pa: PhysAddr) -> Option<(Span<PhysAddr>, States)> {
        // Almost always, and quicker than finding the first difference.
        if self.bytes == bytes {
            return None;
        }
        let (old, new) = (self.bytes.as_chunks::<8>().0, bytes.as_chunks::<8>().0);
        let (first, end) = if old.len() == new.len() { changed_part(old, new)? } else { (0, new.len()) };
        let frame = |number: usize| pa.wrapping_add((number as u64) << PAGE_SHIFT);
        let span = Span::between(frame(first), frame(end));
        let runs = decode(&new[first..end], span.base);
        if old.len() == new.len() {
            run::replace(&mut self.runs, span, &runs);
        } else {
            self.runs.clone_from(&runs);
        }
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        Some((span, runs))
    }
}

fn decode(words: &[[u8; 8]], pa: PhysAddr) -> States {
    let mut runs = Vec::new();
    let raws = words.iter().map(|word| u64::from_le_bytes(*word));
    for (raw, frame) in raws.zip(0_u64..) {
        run::push(
            &mut runs,
            Run::new(Span::new(pa.wrapping_add(frame << PAGE_SHIFT), PAGE_SIZE), PageState::from_raw(raw)),
        );
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_changed_makes_the_same_of_a_chunk_as_all_of_it(
            old in prop::collection::vec(0_u8..4, 512),
            changes in prop::collection::vec((0_usize..512, 0_u8..4), 0..4),
        ) {
            let bytes = |states: &[u8]| -> Vec<u8> {
                states.iter().flat_map(|state| u64::from(*state).to_le_bytes()).collect()
            };
            let mut new = old.clone();
            changes.iter().for_each(|(at, state)| new[*at] = *state);
            let mut chunk = Chunk::default();
            chunk.follow(&bytes(&old), PhysAddr::new(0x4000_0000));
            let mut outside = chunk.runs.clone();
            if let Some((span, runs)) = chunk.follow(&bytes(&new), PhysAddr::new(0x4000_0000)) {
                run::replace(&mut outside, span, &runs);
            }
            let all = decode(bytes(&new).as_chunks().0, PhysAddr::new(0x4000_0000));
            prop_assert_eq!(&chunk.runs, &all);
            prop_assert_eq!(&outside, &all);
            prop_assert_eq!(chunk.bytes, bytes(&new));
        }
    }
}
