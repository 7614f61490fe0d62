//! Which CPU runs.
//!
//! VMPIDR_EL2 has its number only as long as the host's is there: while EL2 enters a virtual machine, and until it has the
//! host's registers again, it is the number of a VCPU. TPIDR_EL2 stays the same then. What it is on each CPU is seen when an
//! exception of the host comes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The CPUs by TPIDR_EL2. There are no other threads: the lock is always free.
#[derive(Default)]
pub(crate) struct Cpus(Mutex<BTreeMap<u64, u8>>);

impl Cpus {
    /// The CPU that has `tpidr` in TPIDR_EL2 and `number` in VMPIDR_EL2. With `of_host` it begins a vector of the host's, and
    /// its number is the host's.
    pub(crate) fn which(&self, tpidr: u64, of_host: bool, number: impl Fn() -> u8) -> u8 {
        // A hypervisor that does not use it leaves it as it is after a reset.
        if tpidr == 0 {
            return number();
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if of_host {
            known.insert(tpidr, number());
        }
        known.get(&tpidr).copied().unwrap_or_else(number)
    }
}
