//! Command and event queue (IHI 0070, 3.5): where the records are.
//!
//! PROD and CONS are indices with one wrap bit above them. The queue is empty when both are equal, and full when
//! they differ in the wrap bit only.

use parallax_addr::PhysAddr;

use crate::control::QueueBase;

/// A queue: its memory and its two indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Physical address of entry 0, aligned as the SMMU does it: to the queue's size, at least 32 bytes.
    pub base: PhysAddr,
    /// Bits of the register's ADDR below the alignment, which the SMMU takes for zero (6.3.26).
    pub below: u64,
    /// log2 of the number of entries, 0 to 19.
    pub log2size: u32,
    /// Bytes of one entry.
    pub entry_size: u64,
    /// PROD register: index and wrap bit, OVFLG in bit 31 (event queue).
    pub prod: u32,
    /// CONS register: index and wrap bit, ERR in bits 30:24 (command queue), OVACKFLG in bit 31 (event queue).
    pub cons: u32,
}

impl Queue {
    /// The command queue. `largest` is IDR1.CMDQS.
    #[must_use]
    pub fn commands(base: QueueBase, largest: u8, prod: u32, cons: u32) -> Self {
        Self::new(base, largest, 16, (prod, cons))
    }

    /// The event queue. `largest` is IDR1.EVENTQS.
    #[must_use]
    pub fn events(base: QueueBase, largest: u8, prod: u32, cons: u32) -> Self {
        Self::new(base, largest, 32, (prod, cons))
    }

    fn new(base: QueueBase, largest: u8, entry_size: u64, (prod, cons): (u32, u32)) -> Self {
        let log2size = u32::from(base.log2size().min(largest).min(19));
        let align = (entry_size << log2size).max(32);
        let (base, below) = (PhysAddr::new(base.addr()).align_down(align), base.addr() & (align - 1));
        Self { base, below, log2size, entry_size, prod, cons }
    }

    /// Number of entries: 1 to 2^19.
    #[must_use]
    pub const fn entries(&self) -> u32 {
        1 << self.log2size
    }

    /// Size in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.entry_size << self.log2size
    }

    /// Physical address of the entry that `index` (a value of PROD or CONS, or any number) selects.
    #[must_use]
    pub const fn entry_pa(&self, index: u32) -> PhysAddr {
        self.base.wrapping_add(self.entry_size * (index & (self.entries() - 1)) as u64)
    }

    /// Number of entries that were produced and not yet consumed: at most [`Self::entries`], unless the indices
    /// are inconsistent.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.prod.wrapping_sub(self.cons) & (2 * self.entries() - 1)
    }

    /// Whether nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.len() == self.entries()
    }

    /// Whether events were lost and nobody has acknowledged it: OVFLG differs from OVACKFLG (event queue).
    #[must_use]
    pub const fn overflowed(&self) -> bool {
        (self.prod ^ self.cons) >> 31 != 0
    }

    /// Physical addresses of the waiting entries, oldest first, at most [`Self::entries`].
    pub fn pending(&self) -> impl Iterator<Item = PhysAddr> + use<> {
        let queue = *self;
        (0..queue.len().min(queue.entries())).map(move |n| queue.entry_pa(queue.cons.wrapping_add(n)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(log2size: u64, prod: u32, cons: u32) -> Queue {
        Queue::commands(QueueBase([0x4800_0000 | log2size]), 19, prod, cons)
    }

    #[test]
    fn empty_and_full_differ_by_the_wrap_bit() {
        assert!(queue(3, 5, 5).is_empty());
        assert!(queue(3, 0b1101, 0b0101).is_full());
        assert_eq!(queue(3, 0b1001, 0b0110).len(), 3);
    }

    #[test]
    fn waiting_entries_wrap_around_the_end() {
        let pending: Vec<_> = queue(3, 0b1001, 0b0110).pending().collect();
        assert_eq!(pending, [0x4800_0060, 0x4800_0070, 0x4800_0000].map(PhysAddr::new));
    }

    #[test]
    fn size_and_alignment_are_bounded() {
        let queue = Queue::events(QueueBase([0x4800_0ff0 | 31]), 7, 1 << 31, 0);
        assert_eq!((queue.entries(), queue.size(), queue.base.get()), (128, 4096, 0x4800_0000));
        assert_eq!(queue.below, 0xfe0);
        assert!(queue.overflowed());
        assert_eq!(Queue::commands(QueueBase([0x1030]), 19, 0, 0).size(), 1 << 20, "LOG2SIZE is 0x10");
    }

    #[test]
    fn inconsistent_indices_do_not_run_over() {
        let queue = queue(2, 0b111, 0b000);
        assert_eq!(queue.len(), 7);
        assert_eq!(queue.pending().count(), 4);
    }
}
