//! Which instructions ran.
//!
//! A translation block runs from its first instruction to its last, unless one of them faults: what the hypervisor
//! executes does not, except on its way into a panic. So one callback a block is enough.
//!
//! # Safety argument
//! The file is mapped for as long as QEMU lives, and the harness does not change its size. Its bytes are accessed as
//! atomics only.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use memmap2::{MmapOptions, MmapRaw};
use parallax_abi::coverage::{INSTRUCTION, bit, file_size};
use qemu_plugin::TranslationBlock;

/// The mapped file.
pub(crate) struct Coverage {
    map: Arc<MmapRaw>,
    /// Virtual addresses of the image.
    image: Range<u64>,
}

impl Coverage {
    /// Maps the file at `path`, which must be large enough for `image`.
    pub(crate) fn open(path: &Path, image: Range<u64>) -> io::Result<Self> {
        let map = MmapOptions::new().map_raw(&File::options().read(true).write(true).open(path)?)?;
        let size = image.end.checked_sub(image.start).map(file_size);
        if size != Some(map.len() as u64) {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        Ok(Self { map: Arc::new(map), image })
    }

    /// Has QEMU call back when `block` runs.
    pub(crate) fn watch(&self, block: &TranslationBlock<'_>) {
        let bits: Vec<(usize, u8)> = block
            .instructions()
            .map(|instruction| instruction.vaddr())
            .filter(|pc| self.image.contains(pc) && pc % INSTRUCTION == 0)
            .map(|pc| bit(pc - self.image.start))
            .map(|(byte, mask)| (byte as usize, mask))
            .collect();
        if bits.is_empty() {
            return;
        }
        let map = Arc::clone(&self.map);
        let mut marked = false;
        block.register_execute_callback(move |_| {
            if !marked {
                bits.iter().for_each(|(byte, mask)| mark(&map, *byte, *mask));
                marked = true;
            }
        });
    }
}

fn mark(map: &MmapRaw, byte: usize, mask: u8) {
    assert!(byte < map.len());
    // SAFETY: the byte is inside the mapping, which lives as long as `map`; nobody accesses it but as an atomic.
    let byte = unsafe { AtomicU8::from_ptr(map.as_mut_ptr().add(byte)) };
    byte.fetch_or(mask, Ordering::Relaxed);
}
