//! Memory that remembers what was read.

use std::cell::RefCell;
use std::collections::BTreeSet;

use parallax_addr::PAGE_SIZE;
use parallax_vmsa::{MemError, PhysMem};

/// Memory that notes the pages which are read through it, for [`super::Recorder`].
pub struct RecordingMem<'a> {
    inner: &'a dyn PhysMem,
    pages: RefCell<BTreeSet<u64>>,
}

impl<'a> RecordingMem<'a> {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: &'a dyn PhysMem) -> Self {
        Self { inner, pages: RefCell::default() }
    }

    /// Addresses of the pages that were read, in order.
    pub(super) fn pages(&self) -> Vec<u64> {
        self.pages.borrow().iter().copied().collect()
    }
}

impl std::fmt::Debug for RecordingMem<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordingMem").field("pages", &self.pages).finish_non_exhaustive()
    }
}

impl PhysMem for RecordingMem<'_> {
    fn read(&self, pa: u64, buf: &mut [u8]) -> Result<(), MemError> {
        self.inner.read(pa, buf)?;
        if !buf.is_empty() {
            let last = pa.saturating_add(buf.len() as u64 - 1) / PAGE_SIZE;
            self.pages.borrow_mut().extend((pa / PAGE_SIZE..=last).map(|page| page * PAGE_SIZE));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use parallax_vmsa::SparseMem;

    use super::*;

    #[test]
    fn pages_that_were_read_are_remembered_and_others_not() {
        let mut inner = SparseMem::new();
        inner.write(0x1000, &[0; 0x3000]);
        let mem = RecordingMem::new(&inner);
        mem.read(0x1ff8, &mut [0; 16]).unwrap();
        mem.read(0x1000, &mut [0; 8]).unwrap();
        assert!(mem.read(0x9000, &mut [0; 8]).is_err());
        assert_eq!(mem.pages(), [0x1000, 0x2000]);
    }
}
