//! The mailbox static and the function at which the harness stops this CPU.
//!
//! Safety: the harness reads and writes the mailbox only while the machine stands in [`parallax_wait`]; in between
//! CPU 0 alone uses it, by volatile accesses.

use core::arch::{asm, naked_asm};
use core::cell::UnsafeCell;

use parallax_abi::mailbox::{MAGIC, Mailbox, Request, Response, SLOTS, Slot, VERSION};

/// The mailbox, shared with the harness.
#[repr(transparent)]
pub(crate) struct Shared(UnsafeCell<Mailbox>);

// SAFETY: only CPU 0 uses it, and the harness while CPU 0 stands still.
unsafe impl Sync for Shared {}

const SLOT: Slot = Slot { request: Request { cpu: 0, op: 0, args: [0; 7] }, response: Response::of(0) };

/// Where the harness finds it by name.
#[unsafe(no_mangle)]
pub(crate) static PARALLAX_MAILBOX: Shared = Shared(UnsafeCell::new(Mailbox {
    magic: 0,
    version: 0,
    cpus: 0,
    count: 0,
    performed: 0,
    slots: [SLOT; SLOTS],
}));

/// A page that is written when there is nothing to do, and for nothing else: a watchpoint slows accesses to its page.
#[repr(C, align(4096))]
struct Idle(UnsafeCell<[u8; 4096]>);

// SAFETY: only CPU 0 writes it, in `parallax_wait`, and nobody reads it.
unsafe impl Sync for Idle {}

/// Where the harness finds it by name. Not in `.bss`, which is cleared at boot.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data.idle")]
static PARALLAX_IDLE: Idle = Idle(UnsafeCell::new([0; 4096]));

/// Called whenever there is nothing to do: writes to `idle`, [`PARALLAX_IDLE`], where a harness that watches it stops the
/// CPU before the write.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".breakpoints")]
#[unsafe(naked)]
extern "C" fn parallax_wait(idle: *const Idle) {
    naked_asm!("str xzr, [x0]", "ret")
}

/// Called by each CPU when it has performed a request, before it answers: where a debugger that lets CPUs go one at a time
/// holds it.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub(crate) extern "C" fn parallax_done() {
    naked_asm!("nop", "ret")
}

/// Called after each request is answered, with its slot: where a plugin tells one operation from the next.
#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn parallax_mark(slot: usize) {
    naked_asm!("nop", "ret")
}

/// Reads or writes one field.
macro_rules! field {
    (read $($path:tt)+) => {
        // SAFETY: a live static; see the module for who uses it when.
        unsafe { (&raw const (*PARALLAX_MAILBOX.0.get()).$($path)+).read_volatile() }
    };
    (write $value:expr => $($path:tt)+) => {
        // SAFETY: a live static; see the module for who uses it when.
        unsafe { (&raw mut (*PARALLAX_MAILBOX.0.get()).$($path)+).write_volatile($value) }
    };
}

/// Declares the test host ready with `cpus` CPUs.
pub(crate) fn open(cpus: usize) {
    field!(write VERSION => version);
    field!(write cpus as u64 => cpus);
    field!(write MAGIC => magic);
}

/// Waits for the harness, once. Returns the number of requests (0 to [`SLOTS`]).
pub(crate) fn wait() -> usize {
    // SAFETY: a barrier: what was answered is in memory before the harness looks.
    unsafe { asm!("dsb sy", options(nostack)) };
    parallax_wait(&raw const PARALLAX_IDLE);
    let count = field!(read count);
    usize::try_from(count).map_or(SLOTS, |count| count.min(SLOTS))
}

/// Request `index`, below [`SLOTS`].
pub(crate) fn request(index: usize) -> Request {
    field!(read slots[index].request)
}

/// Answers request `index`, below [`SLOTS`].
pub(crate) fn respond(index: usize, response: Response) {
    field!(write response => slots[index].response);
    parallax_mark(index);
}

/// All `count` requests are answered.
pub(crate) fn close(count: usize) {
    let performed = field!(read performed) + count as u64;
    field!(write performed => performed);
    field!(write 0 => count);
}
