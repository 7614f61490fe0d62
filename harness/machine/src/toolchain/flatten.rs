//! An ELF file as the flat image that QEMU loads.

use object::elf::{FileHeader64, PT_LOAD};
use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Endianness, elf};

/// The largest flat image that makes sense, in bytes.
const MAX: u64 = 64 << 20;

/// An ELF file that cannot be flattened.
#[derive(Debug, thiserror::Error)]
pub enum FlattenError {
    /// Not an ELF file of 64 bits.
    #[error("not a 64-bit ELF file: {0}")]
    Elf(#[from] object::Error),
    /// Not for this machine.
    #[error("not an AArch64 ELF file")]
    Machine,
    /// Nothing to load.
    #[error("no segment to load")]
    Empty,
    /// The entry point is not its first byte.
    #[error("the entry point {entry:#x} is not the first byte of the image, {first:#x}")]
    Entry {
        /// `e_entry`.
        entry: u64,
        /// Virtual address of the first byte.
        first: u64,
    },
    /// Its segments are spread too far.
    #[error("its segments span {0} bytes")]
    TooLarge(u64),
    /// Two segments claim the same bytes.
    #[error("segments overlap at {0:#x}")]
    Overlap(u64),
}

/// The bytes of `elf` from its first loaded byte on: segments in the order of their physical addresses, gaps zero,
/// zero-initialised data at the end left out.
///
/// # Errors
/// It is no ELF file whose first byte is its entry point.
pub fn flatten(elf: &[u8]) -> Result<Vec<u8>, FlattenError> {
    let file = ElfFile64::<Endianness>::parse(elf)?;
    let endian = file.endian();
    let header: &FileHeader64<Endianness> = file.elf_header();
    if header.e_machine.get(endian) != elf::EM_AARCH64 {
        return Err(FlattenError::Machine);
    }
    let mut segments = Vec::new();
    for segment in file.elf_program_headers().iter().filter(|segment| segment.p_type(endian) == PT_LOAD) {
        let data = segment.data(endian, elf).map_err(|()| FlattenError::Empty)?;
        if !data.is_empty() {
            segments.push((segment.p_paddr(endian), segment.p_vaddr(endian), data));
        }
    }
    segments.sort_by_key(|(physical, ..)| *physical);
    let &(base, first, _) = segments.first().ok_or(FlattenError::Empty)?;
    let entry = header.e_entry.get(endian);
    if entry != first && entry != base {
        return Err(FlattenError::Entry { entry, first });
    }
    let mut image = Vec::new();
    for (physical, _, data) in segments {
        let offset = physical - base;
        if offset.saturating_add(data.len() as u64) > MAX {
            return Err(FlattenError::TooLarge(offset));
        }
        let offset = offset as usize;
        if offset < image.len() {
            return Err(FlattenError::Overlap(physical));
        }
        image.resize(offset, 0);
        image.extend_from_slice(data);
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An AArch64 ELF file whose segments have these physical addresses, data and sizes in memory.
    fn elf(entry: u64, segments: &[(u64, &[u8], u64)]) -> Vec<u8> {
        let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        file.extend([2, 0, 183, 0, 1, 0, 0, 0]);
        file.extend(entry.to_le_bytes());
        file.extend(64_u64.to_le_bytes());
        file.extend(0_u64.to_le_bytes());
        file.extend([0, 0, 0, 0, 64, 0, 56, 0, segments.len() as u8, 0, 64, 0, 0, 0, 0, 0]);
        let mut offset = 64 + 56 * segments.len() as u64;
        for (physical, data, memory) in segments {
            file.extend([1, 0, 0, 0, 7, 0, 0, 0]);
            let virtual_address = physical + 0xa000_0000_0000;
            for field in [offset, virtual_address, *physical, data.len() as u64, *memory, 8] {
                file.extend(field.to_le_bytes());
            }
            offset += data.len() as u64;
        }
        segments.iter().for_each(|(_, data, _)| file.extend(*data));
        file
    }

    #[test]
    fn segments_come_in_order_with_zeroed_gaps_and_without_bss() {
        let file = elf(0x1000, &[(0x1008, &[3, 4], 0x100), (0x1000, &[1, 2], 2), (0x2000, &[], 0x1000)]);
        assert_eq!(flatten(&file).unwrap(), [1, 2, 0, 0, 0, 0, 0, 0, 3, 4]);
    }

    #[test]
    fn the_entry_point_may_be_virtual_or_physical_but_must_be_the_first_byte() {
        let data: (u64, &[u8], u64) = (0x1000, &[1], 1);
        assert!(flatten(&elf(0xa000_0000_1000, &[data])).is_ok());
        assert!(matches!(flatten(&elf(0x1004, &[data])), Err(FlattenError::Entry { entry: 0x1004, .. })));
    }

    #[test]
    fn images_that_cannot_be_loaded_are_refused() {
        assert!(matches!(flatten(&elf(0, &[])), Err(FlattenError::Empty)));
        let overlap = elf(0x1000, &[(0x1000, &[1, 2], 2), (0x1001, &[3], 1)]);
        assert!(matches!(flatten(&overlap), Err(FlattenError::Overlap(0x1001))));
        let far = elf(0x1000, &[(0x1000, &[1], 1), (0x1_0000_0000, &[2], 1)]);
        assert!(matches!(flatten(&far), Err(FlattenError::TooLarge(_))));
        let mut foreign = elf(0x1000, &[(0x1000, &[1], 1)]);
        foreign[18] = 62;
        assert!(matches!(flatten(&foreign), Err(FlattenError::Machine)));
        assert!(matches!(flatten(b"no elf"), Err(FlattenError::Elf(_))));
    }
}
