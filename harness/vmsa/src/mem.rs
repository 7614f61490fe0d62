//! Physical memory, as a decoder sees it.
//!
//! [`PhysMem`] is the one door: a live machine's mapped RAM, a recording and [`SparseMem`] all stand behind it.

use std::collections::BTreeMap;
use std::sync::Arc;

use parallax_addr::{PAGE_SIZE, PhysAddr};

/// Physical memory that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("physical memory {pa:#014x}, {len} bytes, cannot be read")]
pub struct MemError {
    /// First byte of the access.
    pub pa: PhysAddr,
    /// Length of the access in bytes.
    pub len: usize,
}

/// Physical memory that can be read.
pub trait PhysMem {
    /// Fills `buf` with the bytes from physical address `pa` on.
    ///
    /// # Errors
    /// [`MemError`] when any of the bytes is not memory; `buf` may then hold anything.
    fn read(&self, pa: PhysAddr, buf: &mut [u8]) -> Result<(), MemError>;

    /// Whether the bytes from physical address `pa` on are `bytes`.
    ///
    /// # Errors
    /// [`MemError`] when any of the bytes is not memory.
    fn holds(&self, pa: PhysAddr, bytes: &[u8]) -> Result<bool, MemError> {
        let mut now = vec![0; bytes.len()];
        self.read(pa, &mut now)?;
        Ok(now == bytes)
    }

    /// A number that is another one whenever the bytes of the 4 KiB page at `pa` are others; nothing where that is not
    /// known. Numbers of two memories say nothing about each other.
    fn version(&self, pa: PhysAddr) -> Option<u64> {
        let _ = pa;
        None
    }

    /// The moment: a number that grows with every change of a page that has a version; nothing where that is not known.
    fn moment(&self) -> Option<u64> {
        None
    }

    /// The 4 KiB pages with a version that were written after `moment`, in order of address and each once; nothing
    /// where that is not known (any more). It takes time by how many they are, not by how large the memory is.
    fn written(&self, moment: u64) -> Option<Arc<[PhysAddr]>> {
        let _ = moment;
        None
    }
}

impl<M: PhysMem + ?Sized> PhysMem for &M {
    fn read(&self, pa: PhysAddr, buf: &mut [u8]) -> Result<(), MemError> {
        (**self).read(pa, buf)
    }

    fn holds(&self, pa: PhysAddr, bytes: &[u8]) -> Result<bool, MemError> {
        (**self).holds(pa, bytes)
    }

    fn version(&self, pa: PhysAddr) -> Option<u64> {
        (**self).version(pa)
    }

    fn moment(&self) -> Option<u64> {
        (**self).moment()
    }

    fn written(&self, moment: u64) -> Option<Arc<[PhysAddr]>> {
        (**self).written(moment)
    }
}

/// Reads the little-endian descriptors of the 4 KiB table at `pa`.
///
/// # Errors
/// [`MemError`] when the table is not memory.
pub fn read_table<M: PhysMem + ?Sized>(mem: &M, pa: PhysAddr) -> Result<[u64; 512], MemError> {
    let mut bytes = [0; 4096];
    mem.read(pa, &mut bytes)?;
    let mut table = [0; 512];
    for (entry, chunk) in table.iter_mut().zip(bytes.as_chunks().0) {
        *entry = u64::from_le_bytes(*chunk);
    }
    Ok(table)
}

/// Reads one little-endian u64.
///
/// # Errors
/// [`MemError`] when it is not memory.
pub fn read_u64<M: PhysMem + ?Sized>(mem: &M, pa: PhysAddr) -> Result<u64, MemError> {
    let mut bytes = [0; 8];
    mem.read(pa, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Memory that consists of single pages, for tests and recordings. What was never written is not memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SparseMem {
    pages: BTreeMap<PhysAddr, Box<[u8; PAGE_SIZE as usize]>>,
}

impl SparseMem {
    /// Memory without any page.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes `bytes` from `pa` on; pages that were not there come into being filled with zeros.
    /// Bytes past the end of the 64-bit address space are dropped.
    pub fn write(&mut self, mut pa: PhysAddr, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let offset = pa.offset() as usize;
            let (now, later) = bytes.split_at(bytes.len().min(PAGE_SIZE as usize - offset));
            let page = self.pages.entry(pa.page()).or_insert_with(|| Box::new([0; _]));
            page[offset..offset + now.len()].copy_from_slice(now);
            let Some(next) = pa.checked_add(now.len() as u64) else { return };
            (pa, bytes) = (next, later);
        }
    }

    /// Writes one little-endian u64.
    pub fn write_u64(&mut self, pa: PhysAddr, value: u64) {
        self.write(pa, &value.to_le_bytes());
    }

    /// Writes little-endian descriptors from `pa` on.
    pub fn write_table(&mut self, pa: PhysAddr, entries: &[u64]) {
        let bytes: Vec<u8> = entries.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        self.write(pa, &bytes);
    }

    /// Makes the page that holds `pa` unreadable again. Returns whether it was there.
    pub fn remove(&mut self, pa: PhysAddr) -> bool {
        self.pages.remove(&pa.page()).is_some()
    }

    /// The pages in order of their addresses.
    pub fn pages(&self) -> impl Iterator<Item = (PhysAddr, &[u8; PAGE_SIZE as usize])> {
        self.pages.iter().map(|(pa, page)| (*pa, &**page))
    }
}

impl PhysMem for SparseMem {
    fn read(&self, pa: PhysAddr, buf: &mut [u8]) -> Result<(), MemError> {
        let error = MemError { pa, len: buf.len() };
        let (mut at, mut rest) = (pa, buf);
        while !rest.is_empty() {
            let offset = at.offset() as usize;
            let page = self.pages.get(&at.page()).ok_or(error)?;
            let (now, later) = rest.split_at_mut(rest.len().min(PAGE_SIZE as usize - offset));
            now.copy_from_slice(&page[offset..offset + now.len()]);
            if later.is_empty() {
                break;
            }
            at = at.checked_add(now.len() as u64).ok_or(error)?;
            rest = later;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_crosses_pages_and_fails_where_there_is_none() {
        let mut mem = SparseMem::new();
        mem.write(PhysAddr::new(0x1ffc), &[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(read_u64(&mem, PhysAddr::new(0x1ffc)), Ok(0x0807_0605_0403_0201));
        let mut buf = [0; 16];
        assert_eq!(
            mem.read(PhysAddr::new(0x2ff8), &mut buf),
            Err(MemError { pa: PhysAddr::new(0x2ff8), len: 16 })
        );
        assert!(mem.remove(PhysAddr::new(0x1234)));
        assert!(read_u64(&mem, PhysAddr::new(0x1ffc)).is_err());
    }

    #[test]
    fn the_last_page_of_the_address_space_can_be_read() {
        let mut mem = SparseMem::new();
        mem.write_u64(PhysAddr::new(u64::MAX - 7), 42);
        assert_eq!(read_u64(&mem, PhysAddr::new(u64::MAX - 7)), Ok(42));
        assert!(mem.read(PhysAddr::new(u64::MAX - 3), &mut [0; 8]).is_err());
    }

    #[test]
    fn a_table_is_little_endian() {
        let mut mem = SparseMem::new();
        mem.write_table(PhysAddr::new(0x4000), &[0x0123_4567_89ab_cdef, 7]);
        let table = read_table(&mem, PhysAddr::new(0x4000)).expect("the page is there");
        assert_eq!((table[0], table[1], table[2]), (0x0123_4567_89ab_cdef, 7, 0));
    }
}
