//! A place inside of an operation: between two of the stores that the plugin's journal tells of.
//!
//! A recording has the memory before and after an operation. With the stores in between, a watchpoint stops at the one
//! that changed the memory, and not at the operation only.

use parallax_abi::journal::{Record, kind};
use parallax_addr::PhysAddr;
use parallax_vmsa::PhysMem;

/// Some stores of an operation are done, the others are not.
#[derive(Clone, Debug)]
pub(super) struct Inside {
    /// The operation, from 1.
    pub(super) op: u64,
    stores: Vec<Record>,
    done: usize,
}

impl Inside {
    /// The end of operation `op`, of which `events` are known; none if there is no store among them.
    pub(super) fn end(op: u64, events: Vec<Record>) -> Option<Self> {
        let stores: Vec<Record> = events.into_iter().filter(|event| event.kind == kind::STORE).collect();
        let done = stores.len();
        (done > 0).then_some(Self { op, stores, done })
    }

    /// The store that is next; none at the end.
    pub(super) fn next(&self) -> Option<&Record> {
        self.stores.get(self.done)
    }

    /// The store that is done last; none at the beginning.
    pub(super) fn last(&self) -> Option<&Record> {
        self.stores[..self.done].last()
    }

    /// The next store of `cpu`.
    pub(super) fn next_of(&self, cpu: usize) -> Option<&Record> {
        self.stores[self.done..].iter().find(|store| usize::from(store.cpu) == cpu)
    }

    /// One store on; false at the end.
    pub(super) fn step(&mut self) -> bool {
        let there = self.done < self.stores.len();
        self.done += usize::from(there);
        there
    }

    /// One store back; false at the beginning.
    pub(super) fn back(&mut self) -> bool {
        let there = self.done > 0;
        self.done -= usize::from(there);
        there
    }

    /// Goes to the beginning.
    pub(super) fn rewind(&mut self) {
        self.done = 0;
    }

    /// Goes back to the end of the last store that changed one of `pieces` (physical address, length in bytes), and says
    /// which; where it is if none did. `before` is the memory before the operation.
    pub(super) fn last_change(&mut self, before: &dyn PhysMem, pieces: &[(u64, u64)]) -> Option<usize> {
        let mut place = Self { op: self.op, stores: self.stores.clone(), done: self.done };
        while place.done > 0 {
            let store = place.stores[place.done - 1];
            let old = Self { op: place.op, stores: place.stores.clone(), done: place.done - 1 };
            for (index, piece) in pieces.iter().enumerate() {
                if touches(&store, *piece) && place.read(before, *piece) != old.read(before, *piece) {
                    self.done = place.done;
                    return Some(index);
                }
            }
            place.done -= 1;
        }
        None
    }

    /// Goes on to the beginning of the first store that will change one of `pieces`, and says which.
    pub(super) fn next_change(&mut self, before: &dyn PhysMem, pieces: &[(u64, u64)]) -> Option<usize> {
        let mut place = self.clone();
        while let Some(store) = place.next().copied() {
            let old = place.clone();
            place.done += 1;
            for (index, piece) in pieces.iter().enumerate() {
                if touches(&store, *piece) && place.read(before, *piece) != old.read(before, *piece) {
                    self.done = old.done;
                    return Some(index);
                }
            }
        }
        None
    }

    fn read(&self, before: &dyn PhysMem, (pa, len): (u64, u64)) -> Vec<u8> {
        let mut bytes = vec![0; len.min(4096) as usize];
        // Memory that is not known counts as zeros, as a recording has it when it becomes known.
        let _ = before.read(PhysAddr::new(pa), &mut bytes);
        self.patch(pa, &mut bytes);
        bytes
    }

    /// Puts the stores that are done into `bytes`, which were at `pa` before the operation.
    pub(super) fn patch(&self, pa: u64, bytes: &mut [u8]) {
        for store in &self.stores[..self.done] {
            for (offset, byte) in store.value.to_le_bytes().iter().take(usize::from(store.size)).enumerate() {
                let at = store.b.wrapping_add(offset as u64).wrapping_sub(pa);
                if let Some(slot) = usize::try_from(at).ok().and_then(|at| bytes.get_mut(at)) {
                    *slot = *byte;
                }
            }
        }
    }
}

fn touches(store: &Record, (pa, len): (u64, u64)) -> bool {
    store.b < pa.saturating_add(len) && pa < store.b.saturating_add(u64::from(store.size))
}

#[cfg(test)]
mod tests {
    use parallax_vmsa::SparseMem;

    use super::*;

    fn store(pc: u64, b: u64, size: u8, value: u64) -> Record {
        Record { kind: kind::STORE, pc, b, size, value, ..Record::default() }
    }

    fn place() -> (SparseMem, Inside) {
        let mut memory = SparseMem::new();
        memory.write_u64(PhysAddr::new(0x1000), 7);
        let events = vec![
            store(1, 0x1000, 8, 7),
            Record { kind: kind::TLBI, ..Record::default() },
            store(2, 0x1000, 8, 0),
            store(3, 0x2000, 8, 5),
            store(4, 0x1004, 4, 9),
            store(5, 0x1000, 1, 0),
        ];
        (memory, Inside::end(4, events).unwrap())
    }

    #[test]
    fn the_stores_that_changed_a_word_are_found_going_back() {
        let (memory, mut inside) = place();
        let word = [(0x1000, 8)];
        let mut found = Vec::new();
        while inside.last_change(&memory, &word).is_some() {
            assert!(inside.back());
            found.push((inside.next().unwrap().pc, inside.read(&memory, word[0])));
        }
        // Not the first one, which stored what was there, nor the last one.
        assert_eq!(found, [(4, vec![0; 8]), (2, vec![7, 0, 0, 0, 0, 0, 0, 0])]);
    }

    #[test]
    fn the_stores_that_will_change_a_word_are_found_going_on() {
        let (memory, mut inside) = place();
        inside.rewind();
        assert_eq!(inside.next_change(&memory, &[(0x3000, 8), (0x2000, 4)]), Some(1));
        assert_eq!(inside.next().map(|store| store.pc), Some(3));
        assert!(inside.step());
        assert_eq!(inside.next_change(&memory, &[(0x2000, 4)]), None);
    }

    #[test]
    fn an_operation_without_stores_has_no_inside() {
        assert!(Inside::end(1, vec![Record::default()]).is_none());
    }
}
