//! The plugin's side of the journal.
//!
//! # Safety argument
//! The file is mapped for as long as QEMU lives. Header words are accessed as atomics, records through raw pointers
//! in slots that the harness has given back ([`Header::tail`]); no reference into the mapping is made. The harness
//! does not change the file's size.

use std::fs::File;
use std::io;
use std::mem::{offset_of, size_of};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use memmap2::{MmapOptions, MmapRaw};
use parallax_abi::journal::{Header, MAGIC, RECORDS, Record, VERSION, error, kind};

use crate::watch::Places;

/// How long to sleep while the ring is full.
const NAP: Duration = Duration::from_micros(50);

/// The mapped journal.
pub(crate) struct Ring {
    map: MmapRaw,
    capacity: u64,
    ends: Mutex<Ends>,
}

/// Whose some memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The hypervisor's.
    Own,
    /// Anybody else's, or the SMMU's event queue.
    Foreign,
    /// The harness has not said yet where the hypervisor's is.
    Unknown,
}

/// How far the ring is filled.
#[derive(Default)]
struct Ends {
    /// Records made.
    head: u64,
    /// Records that may have been made before the harness must be asked for room.
    room: u64,
}

impl Ring {
    /// Maps the journal at `path`.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let map = MmapOptions::new().map_raw(&File::options().read(true).write(true).open(path)?)?;
        let mut ring = Self { map, capacity: 0, ends: Mutex::default() };
        if ring.map.len() < RECORDS
            || ring.word(offset_of!(Header, magic)).load(Ordering::Relaxed) != MAGIC
            || ring.word(offset_of!(Header, version)).load(Ordering::Relaxed) != VERSION
        {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        ring.capacity = ring.word(offset_of!(Header, capacity)).load(Ordering::Relaxed);
        let room = (ring.map.len() - RECORDS) / size_of::<Record>();
        if ring.capacity == 0 || ring.capacity > room as u64 {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        Ok(ring)
    }

    /// Whether anything is to be recorded.
    pub(crate) fn enabled(&self) -> bool {
        self.word(offset_of!(Header, enabled)).load(Ordering::Relaxed) != 0
    }

    /// Whose memory the physical address `pa` is.
    pub(crate) fn owner(&self, pa: u64) -> Owner {
        let end = self.word(offset_of!(Header, own) + 8).load(Ordering::Acquire);
        let start = self.word(offset_of!(Header, own)).load(Ordering::Relaxed);
        let events = offset_of!(Header, events);
        let [events_start, events_end] =
            [events, events + 8].map(|offset| self.word(offset).load(Ordering::Relaxed));
        match end {
            0 => Owner::Unknown,
            _ if (events_start..events_end).contains(&pa) => Owner::Foreign,
            _ if (start..end).contains(&pa) => Owner::Own,
            _ => Owner::Foreign,
        }
    }

    /// Where the hypervisor is, as far as the harness has said.
    pub(crate) fn places(&self) -> Option<Places> {
        let word = |index: usize| self.word(offset_of!(Header, places) + 8 * index);
        let end = word(1).load(Ordering::Acquire);
        let [start, entry, vectors] = [0, 2, 3].map(|index| word(index).load(Ordering::Relaxed));
        (end != 0).then_some(Places { image: start..end, entry, vectors })
    }

    /// How many instructions were counted.
    pub(crate) fn instructions(&self) -> u64 {
        self.word(offset_of!(Header, instructions)).load(Ordering::Relaxed)
    }

    /// Counts `size` instructions. All CPUs are one thread.
    pub(crate) fn count(&self, size: u64) {
        let word = self.word(offset_of!(Header, instructions));
        word.store(word.load(Ordering::Relaxed) + size, Ordering::Relaxed);
    }

    /// Says that the journal is not the whole truth; the first reason stays.
    pub(crate) fn fail(&self, reason: u64) {
        let word = self.word(offset_of!(Header, error));
        let _ = word.compare_exchange(error::NONE, reason, Ordering::Release, Ordering::Relaxed);
    }

    /// Adds `record`; waits while there is no room.
    pub(crate) fn push(&self, record: Record) {
        let mut ends = self.ends.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if ends.head >= ends.room {
            let room = || self.word(offset_of!(Header, tail)).load(Ordering::Acquire) + self.capacity;
            ends.room = room();
            if ends.head >= ends.room {
                self.word(offset_of!(Header, waits)).fetch_add(1, Ordering::Relaxed);
            }
            while ends.head >= ends.room {
                thread::sleep(NAP);
                ends.room = room();
            }
        }
        let slot = RECORDS + (ends.head % self.capacity) as usize * size_of::<Record>();
        // SAFETY: the slot is inside the mapping, as `open` compared the capacity with its length, and the harness
        // has given it back. Nobody else writes records: `ends` is locked.
        unsafe { self.map.as_mut_ptr().add(slot).cast::<Record>().write_unaligned(record) };
        ends.head += 1;
        self.word(offset_of!(Header, head)).store(ends.head, Ordering::Release);
        if matches!(record.kind, kind::STORE | kind::MMIO_WRITE | kind::TLBI | kind::ERET) {
            self.word(offset_of!(Header, advanced)).store(self.instructions(), Ordering::Relaxed);
            self.word(offset_of!(Header, advanced_head)).store(ends.head, Ordering::Relaxed);
        }
    }

    /// The header's word at `offset`.
    fn word(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: the header is inside the mapping (`open` checked it), aligned like the page it begins, and its
        // words are accessed as atomics by both sides.
        unsafe { AtomicU64::from_ptr(self.map.as_mut_ptr().add(offset).cast()) }
    }
}
