//! The EL1 test host's mailbox: the static `PARALLAX_MAILBOX` in its image.
//!
//! The test host calls `parallax_wait` whenever it has nothing to do, which writes to the word `PARALLAX_IDLE`. A harness
//! stops it there (a watchpoint on the word, or a breakpoint), before the write, reads the responses of the last batch, fills
//! `slots[..count]`, and resumes it 4 bytes further on.
//! CPU 0 takes the slots in order and hands each to the CPU that its request names.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Symbol of the [`Mailbox`] static in the test host's ELF file.
pub const MAILBOX_SYMBOL: &str = "PARALLAX_MAILBOX";
/// Symbol of the word that the test host writes when it waits for work, 8 bytes in a page of its own. A watchpoint costs
/// less than a breakpoint: QEMU's gdbstub throws all translated code away when it stops at one of those.
pub const IDLE_SYMBOL: &str = "PARALLAX_IDLE";
/// Symbol of the function that writes it, and of its first instruction, which is that write: a debugger can resume 4 bytes
/// further on.
pub const WAIT_SYMBOL: &str = "parallax_wait";
/// Symbol of the function that a CPU calls when it has performed a request, before anybody hears of it.
pub const DONE_SYMBOL: &str = "parallax_done";
/// Symbol where the test host stops for good when something happened that it has no answer to.
pub const STUCK_SYMBOL: &str = "parallax_stuck";
/// Symbol of two times 33 u64 in the test host's ELF file: what x0 to x30, SP and NZCV (its bits 31:28) held before a visit to the
/// hypervisor, and what they were found to be, where that is why the test host is stuck. Before, and otherwise, both are the same.
pub const CHANGED_SYMBOL: &str = "PARALLAX_CHANGED";
/// [`Mailbox::magic`]: `PLXMAILB` read as little-endian bytes.
pub const MAGIC: u64 = u64::from_le_bytes(*b"PLXMAILB");
/// [`Mailbox::version`].
pub const VERSION: u64 = 1;
/// How many requests fit into one batch.
pub const SLOTS: usize = 1024;

/// What a request asks for: numbers of the table of [`crate::operation`]. `args` are the row's arguments in their order.
///
/// Responses: a call gives x0 to x3, a load, swap or atomic the value (a pair: two) that was there, a DMA read the first
/// 8 bytes, [`RACE`](op::RACE) how often CPU 1 has written both values. A [`PROBE`](op::PROBE) gives its register and how far its address
/// register moved, or the exception, 0 and 1.
pub mod op {
    pub use crate::operation::requests::*;

    /// Do nothing; the result is [`super::kind::OK`].
    pub const NOP: u64 = 0;
    /// The requests in the next `args[0]` slots, no two of one CPU, are performed at once; the result is [`super::kind::OK`]. Each CPU
    /// calls [`super::DONE_SYMBOL`] when it has performed its own.
    pub const AT_ONCE: u64 = 1 << 32;
}

/// How a request ended.
pub mod kind {
    /// Not answered yet.
    pub const PENDING: u64 = 0;
    /// Done.
    pub const OK: u64 = 1;
    /// The access took an abort at EL1 (data or instruction abort), or the SMMU refused the device's access.
    pub const ABORT: u64 = 2;
    /// The instruction was undefined.
    pub const UNDEF: u64 = 3;
    /// There is no DMA device with this StreamID.
    pub const NO_DEVICE: u64 = 4;
    /// The device or the other CPU did not answer in time.
    pub const TIMEOUT: u64 = 5;
    /// The request itself makes no sense: unknown operation, CPU or size.
    pub const BAD_REQUEST: u64 = 6;
}

/// One operation to perform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Request {
    /// The CPU that performs it, from 0.
    pub cpu: u64,
    /// A number of [`op`].
    pub op: u64,
    /// Arguments, as [`op`] says.
    pub args: [u64; 7],
}

/// What became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Response {
    /// A number of [`kind`].
    pub kind: u64,
    /// Results, as [`op`] says.
    pub x: [u64; 4],
    /// ESR_EL1 of the abort or undefined instruction, else 0.
    pub esr: u64,
    /// FAR_EL1 of the abort, else 0.
    pub far: u64,
    /// SMMU events seen by a DMA request (0 to 2^64-1, one a page at most).
    pub events: u64,
    /// Event number of the first such event (IHI 0070, 7.3), else 0.
    pub event: u64,
    /// StreamID of the first such event.
    pub event_sid: u64,
    /// Input address of the first such event.
    pub event_addr: u64,
}

impl Response {
    /// Nothing but a number of [`kind`].
    #[must_use]
    pub const fn of(kind: u64) -> Self {
        Self { kind, x: [0; 4], esr: 0, far: 0, events: 0, event: 0, event_sid: 0, event_addr: 0 }
    }
}

/// A request and its response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Slot {
    /// Written by the harness.
    pub request: Request,
    /// Written by the test host.
    pub response: Response,
}

/// The mailbox.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Mailbox {
    /// [`MAGIC`] once the test host is ready.
    pub magic: u64,
    /// [`VERSION`].
    pub version: u64,
    /// CPUs that are up and take requests (1 to 8).
    pub cpus: u64,
    /// How many slots hold requests. The test host sets it to 0 when all are answered.
    pub count: u64,
    /// Operations performed since boot.
    pub performed: u64,
    /// The requests.
    pub slots: [Slot; SLOTS],
}
