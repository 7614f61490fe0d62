//! Which instructions of an image were executed, and which branches taken, in a file that a plugin fills and the harness reads.
//!
//! One bit for each 4 bytes from the image's first virtual address on, from the lowest bit of the first byte up. Behind
//! them [`BRANCHES`] bits: one for each way from one instruction to another that does not follow it, chosen by a hash of both,
//! so that two ways may have the same. The harness makes the file, all zero; the plugin only sets bits.

/// Size of an instruction in bytes.
pub const INSTRUCTION: u64 = 4;

/// Bits for branches. A multiple of 8.
pub const BRANCHES: u64 = 1 << 17;

/// Bytes of the instructions' bits for an image of `size` bytes.
#[must_use]
pub const fn file_size(size: u64) -> u64 {
    size.div_ceil(8 * INSTRUCTION)
}

/// Byte and mask of the instruction `offset` bytes behind the image's first address.
#[must_use]
pub const fn bit(offset: u64) -> (u64, u8) {
    (offset / INSTRUCTION / 8, 1 << (offset / INSTRUCTION % 8))
}
