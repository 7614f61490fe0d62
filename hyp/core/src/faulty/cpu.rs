//! TLB maintenance with a part missing or misled: a CPU that does not do all that it is told.

use crate::addr::{HypVa, Ipa, PAGE_SIZE};
use crate::fault::{Fault, Local, on};
use crate::hw::Cpu;
use crate::idmap;
use crate::pgtable::{Invalidate, invalidate};
use crate::smmu::SmmuTlb;
use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

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
        if on(Fault::El2MapNotSynchronised) {
            return self.0.dsb_ishst();
        }
        invalidate::El2Tlb(self.0).publish();
    }
}

/// The SMMU's TLB, for the idmap.
pub(crate) struct IdmapTlb<'a, H, S> {
    pub(crate) hw: &'a H,
    pub(crate) driver: &'a mut S,
}

/// What `now` is put off for: what an earlier call came with.
fn earlier(now: (u64, u64)) -> Option<(u64, u64)> {
    static EARLIER: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
    let earlier = (EARLIER[0].swap(now.0, Relaxed), EARLIER[1].swap(now.1, Relaxed));
    (earlier.1 != 0).then_some(earlier)
}

impl<H: Cpu, S: SmmuTlb> Invalidate for IdmapTlb<'_, H, S> {
    fn invalidate(&mut self, ia: u64, size: u64, granule: u64) {
        let range = if on(Fault::SmmuTlbiAfterUnlock) { earlier((ia, size)) } else { Some((ia, size)) };
        if let Some((ia, size)) = range {
            idmap::IdmapTlb { hw: self.hw, driver: &mut *self.driver }.invalidate(ia, size, granule);
        }
    }

    fn publish(&mut self) {
        idmap::IdmapTlb { hw: self.hw, driver: &mut *self.driver }.publish();
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
        match skipped {
            false if on(Fault::DsbNotShareable) => self.cpu.local(Local::DsbNsh),
            false => self.cpu.dsb_ish(),
            true => {}
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
        if on(Fault::HostTlbiLocal) {
            return self.cpu.local(Local::TlbiIpas2e1(ipa));
        }
        // TTL, bits 47:44 of the operand, which has the address from bit 12 on: 4 KiB granule, level 2.
        let level = if on(Fault::HostTlbiWrongLevel) { 0b0110 << 56 } else { 0 };
        self.cpu.tlbi_ipas2e1is(Ipa(ipa.0 | level));
    }
    fn tlbi_vmalle1is(&self) {
        self.before.set(Before::All);
        if on(Fault::HostTlbiLocal) {
            self.cpu.local(Local::TlbiVmalle1);
        } else if !on(Fault::HostTlbiStage2Only) {
            self.cpu.tlbi_vmalle1is();
        }
    }
    fn tlbi_vmalls12e1is(&self) {
        self.before.set(Before::All);
        self.cpu.tlbi_vmalls12e1is();
    }
    fn tlbi_vae2is(&self, va: HypVa) {
        if on(Fault::El2TlbiLocal) {
            return self.cpu.local(Local::TlbiVae2(va));
        }
        self.cpu.tlbi_vae2is(if on(Fault::El2TlbiWrongPage) { va.add(PAGE_SIZE) } else { va });
    }
    fn tlbi_alle2is(&self) {
        self.cpu.tlbi_alle2is();
    }
    fn relax(&self) {
        self.cpu.relax();
    }
}

/// Whether an access is stepped over once its page is mapped, instead of being repeated.
#[must_use]
#[inline(always)]
pub fn is_stepped_over(right: bool) -> bool {
    right || on(Fault::HostFaultNotRepeated)
}

/// Whether a page that another CPU has mapped meanwhile is there for this one.
#[inline(always)]
pub(crate) fn is_there(right: bool) -> bool {
    right && !on(Fault::SecondFaultRefused)
}

/// MDCR_EL2, what is counted.
#[must_use]
#[inline(always)]
pub fn mdcr_el2(right: u64) -> u64 {
    if on(Fault::PmuCountsEl2) { 0 } else { right }
}

/// How much of what a CPU reads when it starts is cleaned.
#[must_use]
#[inline(always)]
pub fn boot_bytes(right: u64) -> u64 {
    if on(Fault::CpuBootNotCleaned) { 0 } else { right }
}

/// How much of the host's device tree is cleaned.
#[must_use]
#[inline(always)]
pub fn tree_bytes(right: u64) -> u64 {
    if on(Fault::TreeNotCleaned) { 0 } else { right }
}

/// DFSC or IFSC of an abort of a user process, which was `fault` at stage 2.
#[must_use]
#[inline(always)]
pub fn user_fsc(right: u64, fault: u64) -> u64 {
    if on(Fault::UserAbortAsFault) { fault } else { right }
}
