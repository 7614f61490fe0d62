//! Space for what comes: everything behind it moves on, within the size that the header claims.

use crate::header::{
    OFF_DT_STRINGS, OFF_DT_STRUCT, OFF_MEM_RSVMAP, SIZE_DT_STRINGS, SIZE_DT_STRUCT, TOTALSIZE,
};
use crate::{Editor, FdtError};

impl Editor<'_> {
    /// Makes room for `len` bytes at `at` and fills it with zeros.
    fn make_room(&mut self, at: usize, len: usize) -> Result<(), FdtError> {
        let (total, end) = (self.word(TOTALSIZE)?, self.strings()?.end);
        if total.checked_sub(end).is_none_or(|room| room < len) || at > end {
            return Err(FdtError::Full(len));
        }
        self.tree.copy_within(at..end, at + len);
        self.tree[at..at + len].fill(0);
        Ok(())
    }

    /// Makes room in the structure block.
    pub(crate) fn grow(&mut self, at: usize, len: usize) -> Result<(), FdtError> {
        self.make_room(at, len)?;
        for field in [OFF_DT_STRUCT, OFF_DT_STRINGS, OFF_MEM_RSVMAP] {
            let offset = self.word(field)?;
            // The structure block itself starts before `at`, or there would be no place for it there.
            if offset >= at {
                self.set_word(field, offset + len)?;
            }
        }
        let size = self.word(SIZE_DT_STRUCT)?;
        self.set_word(SIZE_DT_STRUCT, size + len)
    }

    /// Adds `name` to the strings; its offset there.
    pub(crate) fn add_string(&mut self, name: &str) -> Result<usize, FdtError> {
        let strings = self.strings()?;
        let len = name.len() + 1;
        self.make_room(strings.end, len)?;
        self.tree[strings.end..strings.end + name.len()].copy_from_slice(name.as_bytes());
        self.set_word(SIZE_DT_STRINGS, strings.len() + len)?;
        Ok(strings.len())
    }
}
