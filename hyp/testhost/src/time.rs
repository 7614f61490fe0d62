//! Virtual time: waiting in `WFI` with the virtual timer as the alarm clock.
//!
//! Under QEMU's `-icount sleep=off` time stands still for a CPU that polls, and jumps when all of them wait.

use core::arch::asm;

use crate::gic;

/// A point in time, in ticks of CNTVCT_EL0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(u64);

impl Deadline {
    /// `ms` milliseconds from now.
    pub(crate) fn in_ms(ms: u64) -> Self {
        Self(now() + frequency() * ms / 1000)
    }
}

/// Ticks in a second.
fn frequency() -> u64 {
    let frequency: u64;
    // SAFETY: a read of a register.
    unsafe { asm!("mrs {f}, cntfrq_el0", f = out(reg) frequency, options(nomem, nostack)) };
    frequency
}

fn now() -> u64 {
    let ticks: u64;
    // SAFETY: a barrier and a read of a register.
    unsafe { asm!("isb", "mrs {t}, cntvct_el0", t = out(reg) ticks, options(nomem, nostack)) };
    ticks
}

/// Sleeps until an interrupt is pending, masked or not.
pub(crate) fn wait_for_interrupt() {
    // SAFETY: waits; changes nothing.
    unsafe { asm!("dsb sy", "wfi", options(nostack)) };
}

/// Sleeps until `done` or until `deadline`. `done` is looked at after each interrupt. Returns what it said last.
pub(crate) fn wait_until(deadline: Deadline, done: impl Fn() -> bool) -> bool {
    // SAFETY: arms the virtual timer, which is this image's; its interrupt only ends a WFI.
    unsafe {
        asm!("msr cntv_cval_el0, {at}", "msr cntv_ctl_el0, {on}", "isb",
            at = in(reg) deadline.0, on = in(reg) 1u64, options(nomem, nostack));
    }
    let result = loop {
        gic::acknowledge_all();
        if done() {
            break true;
        }
        if now() >= deadline.0 {
            break false;
        }
        wait_for_interrupt();
    };
    // SAFETY: stops the timer.
    unsafe { asm!("msr cntv_ctl_el0, xzr", "isb", options(nomem, nostack)) };
    result
}

/// Arms the virtual timer `ns` nanoseconds from now, or turns it off with 0. It ends no wait: under QEMU's single thread the
/// next alarm is what bounds the time that one CPU has before the next one runs.
pub(crate) fn cut_slice(ns: u64) {
    let (at, on) = (now() + frequency() * ns / 1_000_000_000, u64::from(ns != 0));
    // SAFETY: as in `wait_until`; interrupts are masked.
    unsafe {
        asm!("msr cntv_cval_el0, {at}", "msr cntv_ctl_el0, {on}", "isb",
            at = in(reg) at, on = in(reg) on, options(nomem, nostack));
    }
}
