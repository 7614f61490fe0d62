//! A host's pages and memory, without a machine: for tests.

use std::cell::RefCell;
use std::collections::BTreeMap;

use parallax_addr::{PAGE_SIZE, PhysAddr, Span};
use parallax_vmsa::{MemError, PhysMem};

use crate::page::Page;
use crate::view::View;

/// A page that is not the host's.
pub(crate) const OTHERS: u64 = 0x4700_0000;

/// Memory of the host's from 1 GiB on, but for one page; MMIO below.
pub(crate) struct Pages;

impl View for Pages {
    fn frames(&self) -> u64 {
        1 << 36
    }

    fn pages(&self, span: Span<PhysAddr>) -> Vec<(Span<PhysAddr>, Page)> {
        let page = |at: PhysAddr| match at.get() {
            OTHERS => Page::Given { users: 0 },
            0x4000_0000.. => Page::Host,
            _ => Page::HostMmio,
        };
        span.pages().map(|at| (Span::new(at, PAGE_SIZE), page(at))).collect()
    }
}

/// Memory as it is when a step is over: words that are not zero.
#[derive(Default)]
pub(crate) struct Memory(pub(crate) RefCell<BTreeMap<u64, u64>>);

impl Memory {
    pub(crate) fn of(words: &[(u64, u64)]) -> Self {
        Self(RefCell::new(words.iter().copied().collect()))
    }
}

impl PhysMem for Memory {
    fn read(&self, pa: PhysAddr, buf: &mut [u8]) -> Result<(), MemError> {
        for (at, bytes) in (pa.get()..).step_by(8).zip(buf.chunks_mut(8)) {
            let word = self.0.borrow().get(&at).copied().unwrap_or(0).to_le_bytes();
            bytes.copy_from_slice(&word[..bytes.len()]);
        }
        Ok(())
    }
}
