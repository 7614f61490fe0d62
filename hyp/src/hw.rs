//! The instructions behind the traits of `hyp_core::hw`.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};
use hyp_core::addr::{HypVa, Ipa, PAGE_SIZE, PhysAddr};
use hyp_core::hw::{Cpu, Memory, Mmio};

use crate::console::log;
use crate::layout::linear;

/// This machine: memory through the linear map, and the CPU's own instructions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine;

fn word(pa: PhysAddr) -> &'static AtomicU64 {
    debug_assert!(pa.is_aligned(8));
    // SAFETY: the logic asks only for memory that the hypervisor owns or has pinned, which the linear map
    // shows. Such memory is accessed as atomic words and nothing else, by EL2 and by the table walkers.
    unsafe { AtomicU64::from_ptr(linear(pa).0 as *mut u64) }
}

impl Memory for Machine {
    #[inline(always)]
    fn read(&self, pa: PhysAddr) -> u64 {
        word(pa).load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn write(&self, pa: PhysAddr, value: u64) {
        word(pa).store(value, Ordering::Relaxed);
    }

    #[inline(always)]
    fn write_release(&self, pa: PhysAddr, value: u64) {
        word(pa).store(value, Ordering::Release);
    }

    fn zero_page(&self, pa: PhysAddr) {
        for offset in (0..PAGE_SIZE).step_by(8) {
            self.write(pa.add(offset), 0);
        }
    }
}

/// A barrier or TLB instruction without an operand.
macro_rules! instruction {
    ($text:literal) => {
        // SAFETY: barriers, hints and TLB invalidation change no architectural state of the program.
        unsafe { asm!($text, options(nostack, preserves_flags)) }
    };
    ($text:literal, $operand:expr) => {
        // SAFETY: as above.
        unsafe { asm!(concat!($text, ", {}"), in(reg) $operand, options(nostack, preserves_flags)) }
    };
}

/// Methods that are one instruction each.
macro_rules! instructions {
    ($($name:ident $(($argument:ident: $type:ty, $operand:expr))? => $text:literal;)*) => {
        $(fn $name(&self $(, $argument: $type)?) {
            instruction!($text $(, $operand)?);
        })*
    };
}

impl Cpu for Machine {
    instructions! {
        dsb_ishst => "dsb ishst";
        dsb_ish => "dsb ish";
        dsb_sy => "dsb sy";
        isb => "isb";
        tlbi_ipas2e1is(ipa: Ipa, ipa.0 >> 12) => "tlbi ipas2e1is";
        tlbi_vmalle1is => "tlbi vmalle1is";
        tlbi_vmalls12e1is => "tlbi vmalls12e1is";
        tlbi_vae2is(va: HypVa, va.0 >> 12 & ((1 << 44) - 1)) => "tlbi vae2is";
        tlbi_alle2is => "tlbi alle2is";
        relax => "yield";
    }
    fn tell(&self, what: &dyn core::fmt::Display) {
        // Some of it the host can have said as often as it likes.
        static TOLD: AtomicU64 = AtomicU64::new(1);
        let nr = TOLD.fetch_add(1, Ordering::Relaxed);
        if nr.is_power_of_two() {
            log!("{what}");
        }
    }
    #[cfg(feature = "faults")]
    fn local(&self, instruction: hyp_core::fault::Local) {
        use hyp_core::fault::Local;
        match instruction {
            Local::DsbNsh => instruction!("dsb nsh"),
            Local::TlbiIpas2e1(ipa) => instruction!("tlbi ipas2e1", ipa.0 >> 12),
            Local::TlbiVmalle1 => instruction!("tlbi vmalle1"),
            Local::TlbiVae2(va) => instruction!("tlbi vae2", va.0 >> 12 & ((1 << 44) - 1)),
        }
    }
}

/// How this machine's spin locks wait: `yield` lets an emulator run the other CPU.
#[derive(Debug)]
pub(crate) struct Yield;

impl spin::RelaxStrategy for Yield {
    fn relax() {
        Machine.relax();
    }
}

/// A device's register frame in the linear map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    base: u64,
    size: u64,
}

impl Frame {
    /// The frame of `size` bytes at `pa`, which the linear map must show as Device.
    pub(crate) const fn new(pa: PhysAddr, size: u64) -> Self {
        Self { base: linear(pa).0, size }
    }

    fn at(&self, offset: u64, width: u64) -> u64 {
        assert!(offset.is_multiple_of(width) && offset + width <= self.size, "register offset {offset:#x}");
        self.base + offset
    }
}

impl Mmio for Frame {
    fn read32(&self, offset: u64) -> u32 {
        // SAFETY: `at` keeps to the frame, which stays mapped while EL2 runs.
        unsafe { (self.at(offset, 4) as *const u32).read_volatile() }
    }

    fn write32(&self, offset: u64, value: u32) {
        // SAFETY: as for `read32`. What the device does with memory is the SMMU driver's business: it gives
        // it memory of the page pool only.
        unsafe { (self.at(offset, 4) as *mut u32).write_volatile(value) }
    }

    fn write64(&self, offset: u64, value: u64) {
        // SAFETY: as for `write32`.
        unsafe { (self.at(offset, 8) as *mut u64).write_volatile(value) }
    }
}
