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
use parallax_abi::journal::{Header, MAGIC, RECORDS, Record, VERSION, error};

/// How long to sleep while the ring is full.
const NAP: Duration = Duration::from_micros(50);

/// The mapped journal.
pub(crate) struct Ring {
    map: MmapRaw,
    capacity: u64,
    /// Records made.
    head: Mutex<u64>,
}

impl Ring {
    /// Maps the journal at `path`.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let map = MmapOptions::new().map_raw(&File::options().read(true).write(true).open(path)?)?;
        let mut ring = Self { map, capacity: 0, head: Mutex::new(0) };
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

    /// Whether the physical address `pa` is known not to be the hypervisor's own memory.
    pub(crate) fn is_foreign(&self, pa: u64) -> bool {
        let end = self.word(offset_of!(Header, own_end)).load(Ordering::Acquire);
        let start = self.word(offset_of!(Header, own_start)).load(Ordering::Relaxed);
        end != 0 && !(start..end).contains(&pa)
    }

    /// Says that the journal is not the whole truth; the first reason stays.
    pub(crate) fn fail(&self, reason: u64) {
        let word = self.word(offset_of!(Header, error));
        let _ = word.compare_exchange(error::NONE, reason, Ordering::Release, Ordering::Relaxed);
    }

    /// Adds `record`; waits while there is no room.
    pub(crate) fn push(&self, record: Record) {
        let mut head = self.head.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let tail = self.word(offset_of!(Header, tail));
        if *head - tail.load(Ordering::Acquire) >= self.capacity {
            self.word(offset_of!(Header, waits)).fetch_add(1, Ordering::Relaxed);
            while *head - tail.load(Ordering::Acquire) >= self.capacity {
                thread::sleep(NAP);
            }
        }
        let slot = RECORDS + (*head % self.capacity) as usize * size_of::<Record>();
        // SAFETY: the slot is inside the mapping, as `open` compared the capacity with its length, and the harness
        // has given it back. Nobody else writes records: `head` is locked.
        unsafe { self.map.as_mut_ptr().add(slot).cast::<Record>().write_unaligned(record) };
        *head += 1;
        self.word(offset_of!(Header, head)).store(*head, Ordering::Release);
    }

    /// The header's word at `offset`.
    fn word(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: the header is inside the mapping (`open` checked it), aligned like the page it begins, and its
        // words are accessed as atomics by both sides.
        unsafe { AtomicU64::from_ptr(self.map.as_mut_ptr().add(offset).cast()) }
    }
}
