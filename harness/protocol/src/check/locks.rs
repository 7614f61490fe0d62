//! Locks: that a CPU takes none that it holds, takes none to EL1 with it, and writes what they protect with them held.

use parallax_addr::{PAGE_SIZE, PhysAddr};

use super::attempt::Missing;
use super::checker::Checker;
use super::finding::{Site, Subject};
use super::rule::Rule;

/// A lock that a CPU holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// Where it took it.
    at: Site,
    /// It returned to EL1 with it, and that was said.
    told: bool,
}

impl Checker {
    /// A CPU takes a lock; if it `must` get it, it waits for itself where it holds it.
    pub(super) fn lock(&mut self, at: Site, address: u64, must: bool) {
        self.el2_relied(at);
        let held = Held { at, told: false };
        let since = self.cpus.of(at.cpu).locks.entry(address).or_insert(held).at;
        if must && since != at {
            let what = "taken by the CPU that holds it: it waits for itself".to_owned();
            let missing = "an unlock".to_owned();
            self.report(
                Rule::LockTwice,
                Subject::Page { pa: PhysAddr::new(address) },
                at,
                Some(since),
                what,
                missing,
            );
        }
    }

    pub(super) fn unlock(&mut self, at: Site, address: u64) {
        let cpu = self.cpus.of(at.cpu);
        cpu.locks.remove(&address);
        if cpu.open > 0 {
            self.released(at, Some(address));
        }
    }

    /// `at.cpu` returns to EL1: whoever waits for a lock that it holds, itself the next time, waits for good. Of each
    /// lock that it has taken that is said once.
    pub(super) fn locks_returned(&mut self, at: Site) {
        let locks = &mut self.cpus.of(at.cpu).locks;
        if locks.is_empty() {
            return;
        }
        let mut kept = Vec::new();
        for (address, held) in locks.iter_mut().filter(|(_, held)| !held.told) {
            held.told = true;
            kept.push((*address, held.at));
        }
        kept.sort_unstable_by_key(|(address, taken)| (taken.seq, *address));
        for (address, taken) in kept {
            let what = format!("taken here, and the CPU returned to EL1 with the lock at {address:#x}");
            let missing = Missing::until(at, "an unlock");
            self.report(
                Rule::LockHeld,
                Subject::Page { pa: PhysAddr::new(address) },
                taken,
                None,
                what,
                missing,
            );
        }
    }

    /// A store to memory that may be written under locks only.
    pub(super) fn guarded_store(&mut self, at: Site, pa: u64) {
        let Some(locks) = self.guards.get(&(pa / PAGE_SIZE)) else { return };
        let held = self.cpus.get(at.cpu).map(|cpu| &cpu.locks);
        let free = locks.iter().find(|lock| held.is_none_or(|held| !held.contains_key(lock)));
        if let Some(lock) = free {
            let what = format!("written without the lock at {lock:#x}");
            let missing = "all of its locks held".to_owned();
            let subject = Subject::Page { pa: PhysAddr::new(pa & !(PAGE_SIZE - 1)) };
            self.report(Rule::Unlocked, subject, at, None, what, missing);
        }
    }
}
