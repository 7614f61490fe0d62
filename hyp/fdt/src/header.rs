//! Words of the tree, and the blocks that its header names (5.2).

use crate::{Editor, FdtError};
use core::ops::Range;

pub(crate) const MAGIC: usize = 0xd00d_feed;
/// The version that is known here, which may be compatible with older ones.
pub(crate) const VERSION: usize = 17;
pub(crate) const TOTALSIZE: usize = 4;
pub(crate) const OFF_DT_STRUCT: usize = 8;
pub(crate) const OFF_DT_STRINGS: usize = 12;
pub(crate) const OFF_MEM_RSVMAP: usize = 16;
pub(crate) const LAST_COMP_VERSION: usize = 24;
pub(crate) const SIZE_DT_STRINGS: usize = 32;
pub(crate) const SIZE_DT_STRUCT: usize = 36;
/// Bytes of the header.
pub(crate) const SIZE: usize = 40;

impl Editor<'_> {
    /// The big-endian word at `at`.
    pub(crate) fn word(&self, at: usize) -> Result<usize, FdtError> {
        let bytes = self.tree.get(at..).and_then(|rest| rest.first_chunk());
        bytes.map(|bytes| u32::from_be_bytes(*bytes) as usize).ok_or(FdtError::Malformed(at))
    }

    /// Writes the word at `at`.
    pub(crate) fn set_word(&mut self, at: usize, value: usize) -> Result<(), FdtError> {
        let value = u32::try_from(value).map_err(|_| FdtError::Malformed(at))?;
        let place = self.tree.get_mut(at..at + 4).ok_or(FdtError::Malformed(at))?;
        place.copy_from_slice(&value.to_be_bytes());
        Ok(())
    }

    /// The zero-terminated text at `at`, without the zero.
    pub(crate) fn text(&self, at: usize) -> Result<&[u8], FdtError> {
        let rest = self.tree.get(at..).ok_or(FdtError::Malformed(at))?;
        let len = rest.iter().position(|&byte| byte == 0).ok_or(FdtError::Malformed(at))?;
        Ok(&rest[..len])
    }

    fn block(&self, offset: usize, size: usize) -> Result<Range<usize>, FdtError> {
        let (start, size) = (self.word(offset)?, self.word(size)?);
        start.checked_add(size).map(|end| start..end).ok_or(FdtError::Malformed(offset))
    }

    /// The structure block.
    pub(crate) fn structure(&self) -> Result<Range<usize>, FdtError> {
        self.block(OFF_DT_STRUCT, SIZE_DT_STRUCT)
    }

    /// The strings block.
    pub(crate) fn strings(&self) -> Result<Range<usize>, FdtError> {
        self.block(OFF_DT_STRINGS, SIZE_DT_STRINGS)
    }
}
