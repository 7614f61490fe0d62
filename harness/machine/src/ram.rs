//! Guest RAM: the file behind QEMU's `memory-backend-file,share=on`, mapped.
//!
//! # Safety argument
//! QEMU maps the same file in another process and writes to it while the machine runs. No reference into the
//! mapping is ever made: bytes are copied in and out through raw pointers, in bounds that are checked against the
//! length of the mapping, so whatever QEMU does can only change which bytes are read. The file is not truncated:
//! QEMU makes it once with its final size, which is checked, and its name is removed right after it was mapped.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;

use memmap2::{MmapOptions, MmapRaw};
use parallax_addr::PhysAddr;
use parallax_trace::spec::RAM_BASE;
use parallax_vmsa::{MemError, PhysMem};

/// Mapped RAM, by physical address.
#[derive(Debug)]
pub struct MappedRam {
    map: MmapRaw,
}

impl MappedRam {
    /// Maps `len` bytes of `file`, which must hold exactly as many.
    ///
    /// # Errors
    /// The file has another size or cannot be mapped.
    pub fn new(file: &File, len: u64) -> io::Result<Self> {
        if file.metadata()?.len() != len {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the RAM file has another size than the machine",
            ));
        }
        let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        Ok(Self { map: MmapOptions::new().len(len).map_raw(file)? })
    }

    /// Writes `bytes` from `pa` on. The machine must stand still, and expect it.
    ///
    /// # Errors
    /// [`MemError`] when any of the bytes is outside RAM; nothing is written then.
    pub fn write(&self, pa: PhysAddr, bytes: &[u8]) -> Result<(), MemError> {
        let offset = self.offset(pa, bytes.len())?;
        // SAFETY: `offset..offset + bytes.len()` is inside the mapping (`offset` checked it), which is writable and
        // lives as long as `self`; `bytes` is memory of this process and cannot overlap it, as no reference into
        // the mapping exists.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.map.as_mut_ptr().add(offset), bytes.len())
        };
        Ok(())
    }

    /// Offset of `pa` in the mapping, if `len` bytes from there on are in it.
    fn offset(&self, pa: PhysAddr, len: usize) -> Result<usize, MemError> {
        pa.offset_from(RAM_BASE)
            .and_then(|offset| usize::try_from(offset).ok())
            .filter(|offset| offset.checked_add(len).is_some_and(|end| end <= self.map.len()))
            .ok_or(MemError { pa, len })
    }
}

impl PhysMem for MappedRam {
    fn read(&self, pa: PhysAddr, buf: &mut [u8]) -> Result<(), MemError> {
        let offset = self.offset(pa, buf.len())?;
        // SAFETY: `offset..offset + buf.len()` is inside the mapping (`offset` checked it), which lives as long as
        // `self`; `buf` is memory of this process and cannot overlap it, as no reference into the mapping exists.
        unsafe { std::ptr::copy_nonoverlapping(self.map.as_ptr().add(offset), buf.as_mut_ptr(), buf.len()) };
        Ok(())
    }

    fn holds(&self, pa: PhysAddr, bytes: &[u8]) -> Result<bool, MemError> {
        const PIECE: usize = 64;
        let offset = self.offset(pa, bytes.len())?;
        let mut now = [0; PIECE];
        let same = |(number, known): (usize, &[u8])| {
            // SAFETY: the piece is within `offset..offset + bytes.len()`, which is inside the mapping (`offset` checked it), and
            // the mapping lives as long as `self`; `now` has room for it, and cannot overlap it.
            unsafe {
                let from = self.map.as_ptr().add(offset + number * PIECE);
                std::ptr::copy_nonoverlapping(from, now.as_mut_ptr(), known.len());
            }
            now[..known.len()] == *known
        };
        Ok(bytes.chunks(PIECE).enumerate().all(same))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ram(len: u64) -> MappedRam {
        let file = tempfile::tempfile().unwrap();
        file.set_len(len).unwrap();
        MappedRam::new(&file, len).unwrap()
    }

    #[test]
    fn what_is_written_is_read_at_its_physical_address() {
        let ram = ram(0x2000);
        ram.write(RAM_BASE.wrapping_add(0xffe), &[1, 2, 3, 4]).unwrap();
        let mut buf = [0; 6];
        ram.read(RAM_BASE.wrapping_add(0xffd), &mut buf).unwrap();
        assert_eq!(buf, [0, 1, 2, 3, 4, 0]);
    }

    #[test]
    fn bytes_are_compared_where_they_are() {
        let ram = ram(0x1000);
        let known: Vec<u8> = (0..=200).collect();
        ram.write(RAM_BASE.wrapping_add(3), &known).unwrap();
        assert_eq!(ram.holds(RAM_BASE.wrapping_add(3), &known), Ok(true));
        assert_eq!(ram.holds(RAM_BASE.wrapping_add(3), &[]), Ok(true));
        for place in [0, 63, 64, 200] {
            let mut other = known.clone();
            other[place] ^= 0x80;
            assert_eq!(ram.holds(RAM_BASE.wrapping_add(3), &other), Ok(false), "{place}");
        }
        assert!(ram.holds(RAM_BASE.wrapping_add(0xfff), &[0, 0]).is_err());
    }

    #[test]
    fn accesses_outside_ram_are_refused_whole() {
        let ram = ram(0x1000);
        let mut buf = [0; 8];
        assert!(ram.read(RAM_BASE.wrapping_add(0xff8), &mut buf).is_ok());
        for pa in [0, RAM_BASE.get() - 1, RAM_BASE.get() + 0xff9, RAM_BASE.get() + 0x1000, u64::MAX] {
            let pa = PhysAddr::new(pa);
            assert_eq!(ram.read(pa, &mut buf), Err(MemError { pa, len: 8 }));
            assert_eq!(ram.write(pa, &buf), Err(MemError { pa, len: 8 }));
        }
    }

    #[test]
    fn a_file_of_another_size_is_refused() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(0x1000).unwrap();
        assert_eq!(MappedRam::new(&file, 0x2000).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
