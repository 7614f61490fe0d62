//! Loads, stores and branches at a VA of the window: one instruction each, as a guarded call.

use core::arch::asm;
use core::sync::atomic::{Ordering, fence};

use crate::kept::{self, FLAGS, held};
use crate::vectors::{Trap, guarded_call};

/// An access: where, and the value that goes in or comes out.
#[repr(C)]
struct Access {
    va: u64,
    value: [u64; 2],
}

/// Defines `extern "C" fn NAME(*mut Access)` around instructions on `{va}`, `{v}`, `{w}` and the scratch register
/// `{status}`. The comment line names them all, because `asm!` wants each operand used.
macro_rules! access {
    ($($name:ident: $($line:literal),+;)+) => { $(
        unsafe extern "C" fn $name(access: *mut Access) {
            // SAFETY: `perform` passes a live access.
            let access = unsafe { &mut *access };
            let [mut v, mut w] = access.value;
            let mut flags = FLAGS;
            let (x9, x10, x11, x12, x13, x14, x15, x16, x17): (u64, u64, u64, u64, u64, u64, u64, u64, u64);
            // SAFETY: the harness asks for this access to an address of its choosing; what it breaks is its own.
            unsafe {
                asm!(
                    "msr nzcv, {flags}",
                    $($line),+,
                    "mrs {flags}, nzcv",
                    "/* {va} {v} {w} {status:w} */",
                    va = in(reg) access.va, v = inout(reg) v, w = inout(reg) w, status = out(reg) _,
                    flags = inout(reg) flags,
                    inout("x9") held(9) => x9, inout("x10") held(10) => x10, inout("x11") held(11) => x11,
                    inout("x12") held(12) => x12, inout("x13") held(13) => x13, inout("x14") held(14) => x14,
                    inout("x15") held(15) => x15, inout("x16") held(16) => x16, inout("x17") held(17) => x17,
                    options(nostack)
                );
            }
            kept::check(9, &[x9, x10, x11, x12, x13, x14, x15, x16, x17], flags);
            access.value = [v, w];
        }
    )+ };
}

access! {
    load8: "ldrb {v:w}, [{va}]";
    load16: "ldrh {v:w}, [{va}]";
    load32: "ldr {v:w}, [{va}]";
    load64: "ldr {v}, [{va}]";
    store8: "strb {v:w}, [{va}]";
    store16: "strh {v:w}, [{va}]";
    store32: "str {v:w}, [{va}]";
    store64: "str {v}, [{va}]";
    load_pair_access: "ldp {v}, {w}, [{va}]";
    store_pair_access: "stp {v}, {w}, [{va}]";
    swap_access: ".arch_extension lse", "swpal {v}, {w}, [{va}]", ".arch_extension nolse";
    add_nothing: "1: ldxr {v}, [{va}]", "stxr {status:w}, {v}, [{va}]", "cbnz {status:w}, 1b";
    clean_to_unification: "dc cvau, {va}", "dsb ish";
}

fn perform(access: unsafe extern "C" fn(*mut Access), va: u64, value: u64) -> Result<[u64; 2], Trap> {
    perform_pair(access, va, [value, 0])
}

fn perform_pair(
    access: unsafe extern "C" fn(*mut Access),
    va: u64,
    value: [u64; 2],
) -> Result<[u64; 2], Trap> {
    let mut argument = Access { va, value };
    // SAFETY: the functions above own nothing; the argument lives until the call is over.
    unsafe { guarded_call(access, &raw mut argument)? };
    Ok(argument.value)
}

/// Can a load or store have this many bytes?
pub(crate) fn is_size(bytes: u64) -> bool {
    matches!(bytes, 1 | 2 | 4 | 8)
}

/// Loads `size` bytes (1, 2, 4 or 8).
pub(crate) fn load(va: u64, size: u64) -> Result<u64, Trap> {
    let access = match size {
        1 => load8,
        2 => load16,
        4 => load32,
        _ => load64,
    };
    perform(access, va, 0).map(|[value, _]| value)
}

/// Stores the low `size` bytes (1, 2, 4 or 8) of `value`.
pub(crate) fn store(va: u64, size: u64, value: u64) -> Result<(), Trap> {
    let access = match size {
        1 => store8,
        2 => store16,
        4 => store32,
        _ => store64,
    };
    perform(access, va, value).map(|_| ())
}

/// Makes a store to Normal memory visible to instruction fetches (`dc cvau`).
pub(crate) fn clean(va: u64) -> Result<(), Trap> {
    perform(clean_to_unification, va, 0).map(|_| ())
}

/// `ldp` of 16 bytes.
pub(crate) fn load_pair(va: u64) -> Result<[u64; 2], Trap> {
    perform(load_pair_access, va, 0)
}

/// `stp` of 16 bytes.
pub(crate) fn store_pair(va: u64, value: [u64; 2]) -> Result<(), Trap> {
    perform_pair(store_pair_access, va, value).map(|_| ())
}

/// Stores the dwords of an entry that hardware reads: the first one last, and not before the others are visible.
pub(crate) fn store_entry(va: u64, [first, rest @ ..]: [u64; 4]) -> Result<(), Trap> {
    for (dword, at) in rest.into_iter().zip((va + 8..).step_by(8)) {
        store(at, 8, dword)?;
    }
    fence(Ordering::SeqCst);
    store(va, 8, first)
}

/// `swpal` of a u64. Returns what was there.
pub(crate) fn swap(va: u64, value: u64) -> Result<u64, Trap> {
    perform(swap_access, va, value).map(|[_, old]| old)
}

/// Exclusive load and store of the same value. Returns it.
pub(crate) fn atomic_add_nothing(va: u64) -> Result<u64, Trap> {
    perform(add_nothing, va, 0).map(|[value, _]| value)
}

/// Branches there; the code returns with `ret`.
pub(crate) fn execute(va: u64) -> Result<(), Trap> {
    // SAFETY: drops stale instructions; no memory access.
    unsafe { asm!("ic iallu", "dsb nsh", "isb", options(nostack)) };
    // SAFETY: the harness put code of the right signature there, or the call ends with a trap. `guarded_call`
    // restores all registers that such code must not change.
    unsafe {
        let code = core::mem::transmute::<*const (), unsafe extern "C" fn(*mut u64)>(va as *const ());
        guarded_call(code, core::ptr::null_mut())
    }
}
