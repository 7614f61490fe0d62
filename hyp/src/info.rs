//! `PARALLAX_INFO`: where the harness finds things.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU64, Ordering};
use parallax_abi::info::{HypInfo, MAGIC, VERSION};

/// A place that is written while only one CPU runs, and read by a debugger. All zero at first.
#[repr(transparent)]
struct Published(UnsafeCell<MaybeUninit<HypInfo>>);

// SAFETY: `publish` runs once, before a second CPU does (its contract). After it, the only access is an
// atomic store.
unsafe impl Sync for Published {}

/// See [`parallax_abi::info::INFO_SYMBOL`].
#[unsafe(no_mangle)]
static PARALLAX_INFO: Published = Published(UnsafeCell::new(MaybeUninit::zeroed()));

/// Writes everything but the magic number.
///
/// # Safety
/// Called once, while no other CPU runs.
pub(crate) unsafe fn publish(info: HypInfo) {
    // SAFETY: nobody else accesses the static (this function's contract). Volatile, because no code here
    // reads it again.
    unsafe { place().write_volatile(HypInfo { magic: 0, version: VERSION, ..info }) };
}

/// Tells the harness that initialisation is over: the final tables are on and the host is about to run.
pub(crate) fn mark_ready() {
    // SAFETY: the field is 8-byte aligned, and after `publish` all accesses to it are these.
    let magic = unsafe { AtomicU64::from_ptr(&raw mut (*place()).magic) };
    magic.store(MAGIC, Ordering::Release);
}

const fn place() -> *mut HypInfo {
    PARALLAX_INFO.0.get().cast()
}
