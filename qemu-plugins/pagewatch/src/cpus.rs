//! Which CPU runs.
//!
//! VMPIDR_EL2 has its number only as long as the host's is there: while EL2 enters a virtual machine, and until it has the
//! host's registers again, it is the number of a VCPU. TPIDR_EL2 stays the same then. What it is on each CPU is seen when an
//! exception of the host comes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The CPUs by TPIDR_EL2. There are no other threads: the lock is always free.
#[derive(Default)]
pub(crate) struct Cpus {
    known: Mutex<BTreeMap<u64, u8>>,
    /// TPIDR_EL2 of the one that was asked for last, and its number; 0 before that.
    last: [AtomicU64; 2],
}

impl Cpus {
    /// The CPU that has `tpidr` in TPIDR_EL2 and `number` in VMPIDR_EL2. With `of_host` it begins a vector of the host's, and
    /// its number is the host's.
    pub(crate) fn which(&self, tpidr: u64, of_host: bool, number: impl Fn() -> u8) -> u8 {
        // A hypervisor that does not use it leaves it as it is after a reset.
        if tpidr == 0 {
            return number();
        }
        let [last, cpu] = &self.last;
        if !of_host && last.load(Ordering::Relaxed) == tpidr {
            return cpu.load(Ordering::Relaxed) as u8;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if of_host {
            known.insert(tpidr, number());
        }
        let Some(which) = known.get(&tpidr).copied() else { return number() };
        last.store(tpidr, Ordering::Relaxed);
        cpu.store(u64::from(which), Ordering::Relaxed);
        which
    }
}
