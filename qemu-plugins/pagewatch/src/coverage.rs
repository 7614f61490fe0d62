//! Which instructions ran, and which branches were taken.
//!
//! A translation block runs from its first instruction to its last, unless one of them faults: what the hypervisor
//! executes does not, except on its way into a panic. So one callback a block is enough. A block that begins right behind the one before it
//! was cut there by QEMU, or its branch was not taken: that is no branch, so the same run has the same branches wherever QEMU cuts.
//!
//! # Safety argument
//! The file is mapped for as long as QEMU lives, and the harness does not change its size. Its bytes are accessed as
//! atomics only.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};
use parallax_abi::coverage::{BRANCHES, INSTRUCTION, bit, file_size};
use qemu_plugin::TranslationBlock;

/// The mapped file.
pub(crate) struct Coverage {
    map: Arc<MmapRaw>,
    /// Virtual addresses of the image.
    image: Range<u64>,
    /// Of each CPU, the number of the instruction behind the last one of the image that ran; 0 before there was one.
    behind: Arc<[AtomicU64]>,
}

impl Coverage {
    /// Maps the file at `path`, which must be large enough for `image`. The machine has `cpus` CPUs.
    pub(crate) fn open(path: &Path, image: Range<u64>, cpus: usize) -> io::Result<Self> {
        let map = MmapOptions::new().map_raw(&File::options().read(true).write(true).open(path)?)?;
        let size = image.end.checked_sub(image.start).map(|size| file_size(size) + BRANCHES / 8);
        if size != Some(map.len() as u64) {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        let behind = (0..cpus).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { map: Arc::new(map), image, behind })
    }

    /// Has QEMU call back when `block` runs.
    pub(crate) fn watch(&self, block: &TranslationBlock<'_>) {
        let places: Vec<u64> = block
            .instructions()
            .map(|instruction| instruction.vaddr())
            .filter(|pc| self.image.contains(pc) && pc % INSTRUCTION == 0)
            .map(|pc| pc - self.image.start)
            .collect();
        let (Some(first), Some(last)) = (places.first(), places.last()) else { return };
        let (first, end) = (first / INSTRUCTION, last / INSTRUCTION + 1);
        let branches = file_size(self.image.end - self.image.start);
        let (map, behind) = (Arc::clone(&self.map), Arc::clone(&self.behind));
        let (mut marked, mut from) = (false, first);
        block.register_execute_callback(move |cpu| {
            if !marked {
                places.iter().map(|place| bit(*place)).for_each(|(byte, mask)| mark(&map, byte, mask));
                marked = true;
            }
            let Some(behind) = behind.get(cpu as usize) else { return };
            let before = behind.swap(end, Ordering::Relaxed);
            if before != first && before != from && before != 0 {
                let branch = hash(before, first);
                mark(&map, branches + branch / 8, 1 << (branch % 8));
                from = before;
            }
        });
    }
}

/// The bit for the way to instruction `to` from the one before `before`.
const fn hash(before: u64, to: u64) -> u64 {
    // Odd numbers with many bits set: the upper bits of a product hang on all of its factor.
    let mixed = before.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ to.wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BRANCHES.ilog2())
}

fn mark(map: &MmapRaw, byte: u64, mask: u8) {
    let byte = byte as usize;
    assert!(byte < map.len());
    // SAFETY: the byte is inside the mapping, which lives as long as `map`; nobody accesses it but as an atomic.
    let byte = unsafe { AtomicU8::from_ptr(map.as_mut_ptr().add(byte)) };
    byte.fetch_or(mask, Ordering::Relaxed);
}
