//! Loads, stores and branches at a VA of the window: one instruction each, with all registers held (see [`crate::kept`]).

use core::arch::{asm, naked_asm};
use core::sync::atomic::{Ordering, fence};

use crate::kept::{Form, visit};
use crate::vectors::{Trap, guarded_call};

/// Defines forms on x3, the VA, and x0 and x1, the values that go in or come out; x2 is a scratch register.
macro_rules! access {
    ($($name:ident: $($line:literal),+;)+) => { $(
        #[unsafe(naked)]
        unsafe extern "C" fn $name() {
            naked_asm!($($line),+, "svc #0")
        }
    )+ };
}

access! {
    load8: "ldrb w0, [x3]";
    load16: "ldrh w0, [x3]";
    load32: "ldr w0, [x3]";
    load64: "ldr x0, [x3]";
    store8: "strb w0, [x3]";
    store16: "strh w0, [x3]";
    store32: "str w0, [x3]";
    store64: "str x0, [x3]";
    load_pair_access: "ldp x0, x1, [x3]";
    store_pair_access: "stp x0, x1, [x3]";
    swap_access: ".arch_extension lse", "swpal x0, x1, [x3]", ".arch_extension nolse";
    add_nothing: "1: ldxr x0, [x3]", "stxr w2, x0, [x3]", "cbnz w2, 1b";
    clean_to_unification: "dc cvau, x3", "dsb ish";
}

/// How many of the registers that a form works on may change: all but the VA.
const RESULTS: usize = 3;

fn perform(access: unsafe extern "C" fn(), va: u64, value: u64) -> Result<[u64; 2], Trap> {
    perform_pair(access, va, [value, 0])
}

fn perform_pair(access: unsafe extern "C" fn(), va: u64, [v, w]: [u64; 2]) -> Result<[u64; 2], Trap> {
    visit(Form::at_el1(access, RESULTS), &[v, w, 0, va]).map(|[v, w, ..]| [v, w])
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
