//! Page states: entries of the hypervisor's array with one for each page frame.

use parallax_addr::{PAGE_SIZE, PhysAddr};
use parallax_model::{PageArray, PageState};

use super::context::OperationContext;

/// The entry of a page frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The frame's first byte.
    pub(super) page: PhysAddr,
    /// Where its entry is.
    pub(super) at: u64,
    /// The frame is the hypervisor's own memory: how often it uses it is its allocator's matter.
    own: bool,
    array: PageArray,
}

impl Frame {
    /// The entry that the byte at `pa` belongs to.
    pub(super) fn at(context: &OperationContext<'_>, pa: u64) -> Option<Self> {
        let array = context.pages?;
        let size = u64::from(array.format.size);
        let index = pa.checked_sub(array.pa.get())?.checked_div(size)?;
        if index >= array.nr {
            return None;
        }
        let page = array.first_pfn.checked_add(index)?.checked_mul(PAGE_SIZE).map(PhysAddr::new)?;
        let own = context.own.iter().any(|span| span.contains(page));
        Some(Self { page, at: array.pa.get() + index * size, own, array })
    }

    /// Bytes of an entry.
    pub(super) fn size(&self) -> u64 {
        self.array.format.size.into()
    }

    /// The entry in the aligned word of memory that holds it, and what it says.
    pub(super) fn state(&self, word: u64) -> (u64, PageState) {
        let raw = word >> (8 * (self.at & 7)) & (u64::MAX >> (64 - 8 * self.size().clamp(1, 8)));
        let mut state = self.array.format.state(raw);
        if self.own {
            state.refcount = 0;
        }
        (raw, state)
    }
}
