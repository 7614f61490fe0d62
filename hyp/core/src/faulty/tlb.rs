//! TLB maintenance with a part missing or misled: a CPU that does not do all that it is told.

use crate::addr::{HypVa, Ipa, PAGE_SIZE};
use crate::fault::{Fault, on};
use crate::hw::Cpu;
use crate::pgtable::{Invalidate, invalidate};
use core::cell::Cell;

/// The host's stage 2 on the CPUs.
pub(crate) struct HostTlb<'a, C>(pub(crate) &'a C);

impl<C: Cpu> Invalidate for HostTlb<'_, C> {
    fn invalidate(&mut self, ia: u64, size: u64, granule: u64) {
        if !on(Fault::HostDonateNoTlbi) {
            invalidate::HostTlb(&Faulty::new(self.0)).invalidate(ia, size, granule);
        }
    }

    fn publish(&mut self) {
        if !on(Fault::HostMapNotPublished) {
            invalidate::HostTlb(self.0).publish();
        }
    }
}

/// EL2's own stage 1.
pub(crate) struct El2Tlb<'a, C>(pub(crate) &'a C);

impl<C: Cpu> Invalidate for El2Tlb<'_, C> {
    fn invalidate(&mut self, ia: u64, size: u64, granule: u64) {
        invalidate::El2Tlb(&Faulty::new(self.0)).invalidate(ia, size, granule);
    }

    fn publish(&mut self) {
        invalidate::El2Tlb(self.0).publish();
    }
}

/// What a DSB waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Stage2,
    All,
}

/// A CPU that does not do all that it is told.
struct Faulty<'a, C> {
    cpu: &'a C,
    before: Cell<Before>,
}

impl<'a, C> Faulty<'a, C> {
    const fn new(cpu: &'a C) -> Self {
        Self { cpu, before: Cell::new(Before::Nothing) }
    }
}

impl<C: Cpu> Cpu for Faulty<'_, C> {
    fn dsb_ishst(&self) {
        if !on(Fault::HostTlbiBeforeDsb) {
            self.cpu.dsb_ishst();
        }
    }
    fn dsb_ish(&self) {
        let skipped = match self.before.get() {
            Before::Nothing => false,
            Before::Stage2 => on(Fault::HostTlbiStagesUnordered),
            Before::All => on(Fault::HostTlbiNotAwaited),
        };
        if !skipped {
            self.cpu.dsb_ish();
        }
    }
    fn dsb_sy(&self) {
        self.cpu.dsb_sy();
    }
    fn isb(&self) {
        self.cpu.isb();
    }
    fn tlbi_ipas2e1is(&self, ipa: Ipa) {
        self.before.set(Before::Stage2);
        self.cpu.tlbi_ipas2e1is(ipa);
    }
    fn tlbi_vmalle1is(&self) {
        self.before.set(Before::All);
        if !on(Fault::HostTlbiStage2Only) {
            self.cpu.tlbi_vmalle1is();
        }
    }
    fn tlbi_vmalls12e1is(&self) {
        self.before.set(Before::All);
        self.cpu.tlbi_vmalls12e1is();
    }
    fn tlbi_vae2is(&self, va: HypVa) {
        self.cpu.tlbi_vae2is(if on(Fault::El2TlbiWrongPage) { va.add(PAGE_SIZE) } else { va });
    }
    fn tlbi_alle2is(&self) {
        self.cpu.tlbi_alle2is();
    }
    fn relax(&self) {
        self.cpu.relax();
    }
}
