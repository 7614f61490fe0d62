//! How a change of a table reaches those who cache translations: CPUs, EL2 itself, the SMMU.

use super::{LAST_LEVEL, span};
use crate::addr::{HypVa, Ipa};
use crate::hw::Cpu;

/// Up to this many entries are invalidated one by one, more of them by one operation for all.
pub const MAX_SINGLE: u64 = 16;

/// One translation regime's TLB maintenance.
pub trait Invalidate {
    /// Makes the stores to entries visible, drops what is cached of the `size` bytes at input address `ia`, whose
    /// entries translate `granule` bytes or more, and returns when that is complete.
    fn invalidate(&mut self, ia: u64, size: u64, granule: u64);

    /// Makes entries that have become valid visible to walks.
    fn publish(&mut self);
}

/// The host's stage 2 on the CPUs (Arm ARM, D8.17).
pub struct HostTlb<'a, C>(pub &'a C);

impl<C: Cpu> Invalidate for HostTlb<'_, C> {
    fn invalidate(&mut self, ia: u64, size: u64, granule: u64) {
        self.0.dsb_ishst();
        if size / granule <= MAX_SINGLE {
            for offset in (0..size).step_by(granule as usize) {
                self.0.tlbi_ipas2e1is(Ipa(ia + offset));
            }
            self.0.dsb_ish();
            self.0.tlbi_vmalle1is();
        } else {
            self.0.tlbi_vmalls12e1is();
        }
        self.0.dsb_ish();
        self.0.isb();
    }

    fn publish(&mut self) {
        self.0.dsb_ishst();
    }
}

/// EL2's own stage 1.
pub struct El2Tlb<'a, C>(pub &'a C);

impl<C: Cpu> Invalidate for El2Tlb<'_, C> {
    fn invalidate(&mut self, ia: u64, size: u64, _granule: u64) {
        self.0.dsb_ishst();
        let page = span(LAST_LEVEL);
        if size / page <= MAX_SINGLE {
            for offset in (0..size).step_by(page as usize) {
                self.0.tlbi_vae2is(HypVa(ia + offset));
            }
        } else {
            self.0.tlbi_alle2is();
        }
        self.0.dsb_ish();
        self.0.isb();
    }

    fn publish(&mut self) {
        self.0.dsb_ishst();
        self.0.isb();
    }
}
