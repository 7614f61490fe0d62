//! The harness's side of a plugin's journal (`parallax_abi::journal`).
//!
//! A thread empties the ring whenever it is more than half full, so that a machine that does much between two stops
//! goes on; [`Journal::take`] takes the rest once the machine stands still. The plugin waits for room rather than drop a
//! record, and what it could not tell truly it says: then `take` fails.
//!
//! # Safety argument
//! QEMU maps the same file in another process. No reference to a record is made: records are copied out through
//! raw pointers, from slots that the plugin has filled and does not touch until they are given back. Header words are
//! atomics. Bounds come from this side's own numbers; what the header says only decides how much is copied, and no
//! more than the ring holds. The file is made here with its final size.
#![allow(unsafe_code)]

use std::io;
use std::mem::{offset_of, size_of};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use memmap2::{MmapOptions, MmapRaw};
use parallax_abi::journal::{Header, MAGIC, RECORDS, Record, VERSION, error, kind};
use zerocopy::IntoBytes;

use crate::unlinked::UnlinkedFile;

/// Records that a ring has room for: 2.5 MiB.
const CAPACITY: u64 = 1 << 16;
/// More instructions than any operation executes without a store: for 8 GiB, whose page states are looked at before one of them
/// changes, about 100 million.
const IDLE_INSTRUCTIONS: u64 = 400_000_000;
/// More barriers and loads of devices than any operation waits with: for an SMMU that does not answer, one million.
const IDLE_RECORDS: u64 = 4_000_000;
/// How often the thread looks.
const PERIOD: Duration = Duration::from_millis(1);

/// A journal that cannot be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The plugin says so.
    #[error("the plugin's journal is not the whole truth: {0}")]
    Untrue(&'static str),
    /// The header makes no sense.
    #[error("the plugin's journal is damaged: {head:#x} records made, {tail:#x} taken")]
    Damaged {
        /// Records made, by the header.
        head: u64,
        /// Records taken.
        tail: u64,
    },
}

/// A journal that a plugin writes.
#[derive(Debug)]
pub struct Journal {
    ring: Arc<Ring>,
    thread: Option<JoinHandle<()>>,
}

impl Journal {
    /// Makes one in a new file, in memory if there is a file system for it, else in `dir`. It is to be held until the
    /// plugin has opened it.
    ///
    /// # Errors
    /// The file cannot be made or mapped.
    pub fn create(dir: &Path) -> io::Result<(Self, UnlinkedFile)> {
        let len = RECORDS as u64 + CAPACITY * size_of::<Record>() as u64;
        let file = UnlinkedFile::create(dir, len)?;
        let map = MmapOptions::new().map_raw(file.as_file())?;
        let ring = Arc::new(Ring { map, taken: Mutex::default(), over: AtomicBool::new(false) });
        for (offset, value) in [
            (offset_of!(Header, magic), MAGIC),
            (offset_of!(Header, version), VERSION),
            (offset_of!(Header, capacity), CAPACITY),
        ] {
            ring.word(offset).store(value, Ordering::Release);
        }
        let drained = Arc::clone(&ring);
        let thread = thread::Builder::new().name("journal".to_owned()).spawn(move || drained.keep_empty())?;
        Ok((Self { ring, thread: Some(thread) }, file))
    }

    /// Has the plugin record from now on, or not any more.
    pub fn enable(&self, on: bool) {
        self.ring.word(offset_of!(Header, enabled)).store(u64::from(on), Ordering::Release);
    }

    /// Has the plugin record loads too, except from `own`, the physical addresses of the hypervisor's own memory, less
    /// `events`, those of the SMMU's event queue.
    pub fn watch_loads(&self, own: Range<u64>, events: Range<u64>) {
        self.ring.word(offset_of!(Header, events)).store(events.start, Ordering::Relaxed);
        self.ring.word(offset_of!(Header, events) + 8).store(events.end, Ordering::Relaxed);
        self.ring.word(offset_of!(Header, own)).store(own.start, Ordering::Relaxed);
        self.ring.word(offset_of!(Header, own) + 8).store(own.end, Ordering::Release);
    }

    /// Tells a plugin that was not told by its arguments where the hypervisor is: virtual addresses of its `image`, the physical one of its
    /// first page, `entry`, and the virtual one of its `vectors`. It must not have run yet.
    pub fn watch(&self, image: Range<u64>, entry: u64, vectors: u64) {
        for (index, value) in [(0, image.start), (2, entry), (3, vectors), (1, image.end)] {
            self.ring.word(offset_of!(Header, places) + 8 * index).store(value, Ordering::Release);
        }
    }

    /// The records since the last call, in the order of what happened. The machine must stand still.
    ///
    /// # Errors
    /// The journal cannot be believed.
    pub fn read(&self) -> Result<Vec<Record>, JournalError> {
        let mut taken = self.ring.taken.lock().unwrap_or_else(PoisonError::into_inner);
        self.ring.drain(&mut taken)?;
        match self.ring.word(offset_of!(Header, error)).load(Ordering::Acquire) {
            error::NONE => Ok(std::mem::take(&mut taken.records)),
            error::REGISTER => Err(JournalError::Untrue("a register or an instruction could not be read")),
            error::ADDRESS => Err(JournalError::Untrue("an access without a single physical address")),
            _ => Err(JournalError::Untrue("for a reason of its own")),
        }
    }

    /// Whether EL2 does nothing that can be seen outside, and will not: for so long does no operation only read and wait.
    #[must_use]
    pub fn is_endless(&self) -> bool {
        let word = |offset| self.ring.word(offset).load(Ordering::Relaxed);
        // In this order: what is newer than the other is never taken for older.
        let (advanced, records) =
            (word(offset_of!(Header, advanced)), word(offset_of!(Header, advanced_head)));
        let instructions = word(offset_of!(Header, instructions)).saturating_sub(advanced);
        instructions > IDLE_INSTRUCTIONS
            || word(offset_of!(Header, head)).saturating_sub(records) > IDLE_RECORDS
    }

    /// How often the plugin had to wait because the ring was full.
    #[must_use]
    pub fn waits(&self) -> u64 {
        self.ring.word(offset_of!(Header, waits)).load(Ordering::Relaxed)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.ring.over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // It does not panic, and if it did its records are not wanted any more.
            let _ = thread.join();
        }
    }
}

#[derive(Debug)]
struct Ring {
    map: MmapRaw,
    taken: Mutex<Taken>,
    over: AtomicBool,
}

#[derive(Debug, Default)]
struct Taken {
    tail: u64,
    records: Vec<Record>,
}

impl Ring {
    /// Empties the ring whenever it is more than half full.
    fn keep_empty(&self) {
        while !self.over.load(Ordering::Acquire) {
            {
                let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
                let head = self.word(offset_of!(Header, head)).load(Ordering::Acquire);
                // A damaged header is for `take` to report.
                if head.wrapping_sub(taken.tail) > CAPACITY / 2 && self.drain(&mut taken).is_err() {
                    return;
                }
            }
            thread::sleep(PERIOD);
        }
    }

    fn drain(&self, taken: &mut Taken) -> Result<(), JournalError> {
        let (head, tail) = (self.word(offset_of!(Header, head)).load(Ordering::Acquire), taken.tail);
        let count = head.checked_sub(tail).filter(|count| *count <= CAPACITY);
        let count = count.ok_or(JournalError::Damaged { head, tail })?;
        let first = tail % CAPACITY;
        let until_end = count.min(CAPACITY - first);
        self.copy(first, until_end, &mut taken.records);
        self.copy(0, count - until_end, &mut taken.records);
        taken.tail = head;
        self.word(offset_of!(Header, tail)).store(head, Ordering::Release);
        Ok(())
    }

    /// Appends the `count` records from slot `first` on, which must not go over the end, to `records`.
    fn copy(&self, first: u64, count: u64, records: &mut Vec<Record>) {
        assert!(first + count <= CAPACITY, "slots {first} to {} of a ring of {CAPACITY}", first + count);
        let (first, count) = (first as usize, count as usize);
        let old = records.len();
        records.resize(old + count, Record::default());
        let to = records[old..].as_mut_bytes();
        let offset = RECORDS + first * size_of::<Record>();
        // SAFETY: the slots are inside the mapping (the assertion above; the mapping has CAPACITY of them), `to` has
        // as many bytes and is memory of this process.
        unsafe { std::ptr::copy_nonoverlapping(self.map.as_ptr().add(offset), to.as_mut_ptr(), to.len()) };
    }

    /// The header's word at `offset`.
    fn word(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: `offset` is that of a word of the header, which is inside the mapping and aligned like the page it
        // begins; both sides access its words as atomics.
        unsafe { AtomicU64::from_ptr(self.map.as_mut_ptr().add(offset).cast()) }
    }
}

/// `records` cut behind each operation's mark: what belongs to each operation, its slot, and at the end what came
/// after the last mark.
#[must_use]
pub fn by_operation(records: &[Record]) -> (Vec<(u64, &[Record])>, &[Record]) {
    let mut operations = Vec::new();
    let mut rest = records;
    while let Some(at) = rest.iter().position(|record| record.kind == kind::MARK) {
        let (operation, after) = rest.split_at(at + 1);
        operations.push((operation[at].a, operation));
        rest = after;
    }
    (operations, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plugin's side: adds `records`, waiting for room.
    fn produce(ring: &Ring, numbers: std::ops::Range<u64>) {
        for number in numbers {
            while number - ring.word(offset_of!(Header, tail)).load(Ordering::Acquire) >= CAPACITY {
                thread::yield_now();
            }
            let offset = RECORDS + (number % CAPACITY) as usize * size_of::<Record>();
            let record = Record { kind: kind::STORE, value: number, ..Record::default() };
            // SAFETY: the slot is inside the mapping and free.
            unsafe { ring.map.as_mut_ptr().add(offset).cast::<Record>().write_unaligned(record) };
            ring.word(offset_of!(Header, head)).store(number + 1, Ordering::Release);
        }
    }

    fn journal() -> Journal {
        Journal::create(&std::env::temp_dir()).unwrap().0
    }

    #[test]
    fn more_than_the_ring_holds_arrives_whole_and_in_order() {
        let journal = journal();
        let count = 3 * CAPACITY + 17;
        produce(&journal.ring, 0..count);
        let values: Vec<u64> = journal.read().unwrap().iter().map(|record| record.value).collect();
        assert!(values.into_iter().eq(0..count));
        assert_eq!(journal.read(), Ok(Vec::new()));
    }

    #[test]
    fn an_error_of_the_plugin_is_an_error_here() {
        let journal = journal();
        journal.ring.word(offset_of!(Header, error)).store(error::ADDRESS, Ordering::Release);
        assert!(matches!(journal.read(), Err(JournalError::Untrue(_))));
    }

    #[test]
    fn a_header_that_makes_no_sense_is_refused() {
        let journal = journal();
        journal.ring.word(offset_of!(Header, head)).store(u64::MAX, Ordering::Release);
        assert!(matches!(journal.read(), Err(JournalError::Damaged { head: u64::MAX, tail: 0 })));
    }

    #[test]
    fn records_are_cut_behind_each_mark() {
        let of = |kind, a| Record { kind, a, ..Record::default() };
        let records =
            [of(kind::STORE, 0), of(kind::MARK, 0), of(kind::MARK, 1), of(kind::ERET, 0), of(kind::STORE, 0)];
        let (operations, rest) = by_operation(&records);
        assert_eq!(operations, [(0, &records[..2]), (1, &records[2..3])]);
        assert_eq!(rest, &records[3..]);
    }
}
