//! The page-state array, decoded page by page of the array, and only where its bytes changed.

use parallax_addr::{PAGE_SHIFT, PAGE_SIZE, PhysAddr, Span};
use parallax_vmsa::{PhysMem, changed_part};

use crate::page::PageState;
use crate::run::{self, Run};
use crate::runs::Runs;
use crate::told::{PageArray, PageFormat};

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
    array: Option<PageArray>,
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
    /// The states that `array` holds.
    pub(super) fn capture(
        &mut self,
        mem: &dyn PhysMem,
        array: PageArray,
        faults: &mut Vec<String>,
    ) -> Runs<PhysAddr, PageState> {
        let PageArray { pa, first_pfn, nr, format } = array;
        let size = u64::from(format.size);
        // Entries of another size would lie across the border of two chunks.
        if nr > MOST || first_pfn > LAST_PFN || !matches!(size, 1 | 2 | 4 | 8) {
            faults.push(format!("the page-state array claims {nr:#x} entries from frame {first_pfn:#x} on"));
            return Runs::default();
        }
        if self.array != Some(array) {
            self.array = Some(array);
            self.moment = None;
            self.chunks.clear();
            self.chunks.resize_with((nr * size).div_ceil(CHUNK) as usize, Chunk::default);
        }
        let written = self.moment.and_then(|moment| mem.written(moment));
        let numbers: Vec<u64> = match &written {
            Some(written) => {
                let chunks = self.chunks.len() as u64;
                let inside = written.iter().filter_map(|page| page.offset_from(pa));
                inside.map(|offset| offset / CHUNK).filter(|number| *number < chunks).collect()
            }
            None => (0..self.chunks.len() as u64).collect(),
        };
        let mut all = Vec::with_capacity(if written.is_none() { self.runs.len() } else { 0 });
        self.moment = mem.moment();
        let mut buffer = [0; CHUNK as usize];
        for number in numbers {
            let chunk = &mut self.chunks[number as usize];
            let bytes = &mut buffer[..(nr * size - number * CHUNK).min(CHUNK) as usize];
            let at = pa.wrapping_add(number * CHUNK);
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
                let first = PhysAddr::new((first_pfn + number * (CHUNK / size)) << PAGE_SHIFT);
                if let Some((span, runs)) = chunk.follow(bytes, first, &format)
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
    fn follow(
        &mut self,
        bytes: &[u8],
        pa: PhysAddr,
        format: &PageFormat,
    ) -> Option<(Span<PhysAddr>, States)> {
        // Almost always, and quicker than finding the first difference.
        if self.bytes == bytes {
            return None;
        }
        let size = usize::from(format.size).max(1);
        let same = self.bytes.len() == bytes.len();
        let all = (0, bytes.len() / size);
        let (first, end) = if same { changed_entries(&self.bytes, bytes, size)? } else { all };
        let frame = |number: usize| pa.wrapping_add((number as u64) << PAGE_SHIFT);
        let span = Span::between(frame(first), frame(end));
        let runs = decode(bytes.get(first * size..end * size).unwrap_or_default(), span.base, format);
        if same {
            run::replace(&mut self.runs, span, &runs);
        } else {
            self.runs.clone_from(&runs);
        }
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        Some((span, runs))
    }
}

/// From the first entry that differs to behind the last one, of `size` bytes each; nothing if none does.
fn changed_entries(old: &[u8], new: &[u8], size: usize) -> Option<(usize, usize)> {
    let ((old, old_rest), (words, rest)) = (old.as_chunks::<8>(), new.as_chunks::<8>());
    let each = (8 / size).max(1);
    let whole = changed_part(old, words).map(|(first, end)| (first * each, end * each));
    let rest = (old_rest != rest).then_some((words.len() * each, new.len() / size));
    match (whole, rest) {
        (Some((first, _)), Some((_, end))) => Some((first, end)),
        (one, other) => one.or(other),
    }
}

fn decode(entries: &[u8], pa: PhysAddr, format: &PageFormat) -> States {
    let number = |entry: &[u8]| {
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(entry).for_each(|(byte, from)| *byte = *from);
        u64::from_le_bytes(bytes)
    };
    let raws: Vec<u64> = entries.chunks_exact(usize::from(format.size).max(1)).map(number).collect();
    let mut runs = Vec::new();
    let mut pa = pa;
    // Most pages are like their neighbours.
    for same in raws.chunk_by(|one, next| one == next) {
        let span = Span::new(pa, (same.len() as u64) << PAGE_SHIFT);
        run::push(&mut runs, Run::new(span, format.state(same[0])));
        pa = pa.wrapping_add(span.size);
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
            chunk.follow(&bytes(&old), PhysAddr::new(0x4000_0000), &PageFormat::OURS);
            let mut outside = chunk.runs.clone();
            if let Some((span, runs)) = chunk.follow(&bytes(&new), PhysAddr::new(0x4000_0000), &PageFormat::OURS) {
                run::replace(&mut outside, span, &runs);
            }
            let all = decode(&bytes(&new), PhysAddr::new(0x4000_0000), &PageFormat::OURS);
            prop_assert_eq!(&chunk.runs, &all);
            prop_assert_eq!(&outside, &all);
            prop_assert_eq!(chunk.bytes, bytes(&new));
        }
    }
}
