//! The page pools' accounts, which the hypervisor keeps in its own data, where a snapshot looks for them.

use hyp_core::addr::PhysAddr;
use hyp_core::hw::Memory;
use hyp_core::page_pool::PagePool;
use parallax_abi::pool::Pool;

use crate::hardware::{Core, Hardware};

/// Puts the accounts of both pools to the physical addresses `at`.
pub(crate) fn put_accounts(hardware: &Hardware, hyp: &Core, at: [u64; 2]) {
    for (at, Pool { base, size, next, freed, free }) in at.into_iter().zip(hyp.pools(PagePool::account)) {
        for (place, word) in (at..).step_by(8).zip([base, size, next, freed, free]) {
            if hardware.read(PhysAddr(place)) != word {
                hardware.write(PhysAddr(place), word);
            }
        }
    }
}
