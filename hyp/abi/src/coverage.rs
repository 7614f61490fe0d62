//! Which instructions of an image were executed, in a file that a plugin fills and the harness reads.
//!
//! One bit for each 4 bytes from the image's first virtual address on, from the lowest bit of the first byte up. The
//! harness makes the file, all zero; the plugin only sets bits.

/// Size of an instruction in bytes.
pub const INSTRUCTION: u64 = 4;

/// Bytes of the file for an image of `size` bytes.
#[must_use]
pub const fn file_size(size: u64) -> u64 {
    size.div_ceil(8 * INSTRUCTION)
}

/// Byte and mask of the instruction `offset` bytes behind the image's first address.
#[must_use]
pub const fn bit(offset: u64) -> (u64, u8) {
    let index = offset / INSTRUCTION;
    (index / 8, 1 << (index % 8))
}
