//! The EL1 test host's mailbox: the static `PARALLAX_MAILBOX` in its image.
//!
//! The test host calls the empty function `parallax_wait` whenever it has nothing to do. A harness stops it there
//! (breakpoint), reads the responses of the last batch, fills `slots[..count]`, and resumes it past the breakpoint.
//! CPU 0 takes the slots in order and hands each to the CPU that its request names.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Symbol of the [`Mailbox`] static in the test host's ELF file.
pub const MAILBOX_SYMBOL: &str = "PARALLAX_MAILBOX";
/// Symbol of the function that the test host calls when it waits for work; its first instruction is a `nop`, so a
/// debugger can resume 4 bytes further on.
pub const WAIT_SYMBOL: &str = "parallax_wait";
/// Symbol where the test host stops for good when something happened that it has no answer to.
pub const STUCK_SYMBOL: &str = "parallax_stuck";
/// [`Mailbox::magic`]: `PLXMAILB` read as little-endian bytes.
pub const MAGIC: u64 = u64::from_le_bytes(*b"PLXMAILB");
/// [`Mailbox::version`].
pub const VERSION: u64 = 1;
/// How many requests fit into one batch.
pub const SLOTS: usize = 1024;

/// What a request asks for. `args` are the request's arguments.
pub mod op {
    /// Do nothing; the result is [`super::kind::OK`].
    pub const NOP: u64 = 0;
    /// `hvc #0` with x0..x6 = args[0..7]. Response: x[0..4] = x0..x3 after it.
    pub const HYPERCALL: u64 = 1;
    /// Load `args[1]` bytes (1, 2, 4 or 8) from IPA args[0]; through a Normal mapping, whatever is there, if args[2] is
    /// not 0. Response: x[0] = the value.
    pub const READ: u64 = 2;
    /// Store the low `args[1]` bytes of args[2] to IPA args[0]; through a Normal mapping if args[3] is not 0.
    pub const WRITE: u64 = 3;
    /// Branch to IPA args[0]; the code there must return with `ret`.
    pub const EXEC: u64 = 4;
    /// Load a pair of registers (`ldp`: an abort has no valid syndrome) from IPA args[0]. Response: x[0], x[1].
    pub const READ_PAIR: u64 = 5;
    /// Use the page at IPA args[0] as a stage-1 table: an access whose walk reads it. The walk itself aborts
    /// (S1PTW) when stage 2 refuses the page; a page of zeros gives an ordinary EL1 translation fault.
    pub const WALK: u64 = 6;
    /// Atomic add of 0 (load-exclusive, store-exclusive) on the u64 at IPA args[0]. Response: x[0] = old value.
    pub const ATOMIC: u64 = 7;
    /// The device with StreamID args[0] reads args[2] bytes (8 to 4096) from IPA args[1]. Response: x[0] = first 8 bytes it read.
    pub const DMA_READ: u64 = 8;
    /// The device with StreamID args[0] writes args[2] bytes (8 to 4096) to IPA args[1]: the u64 args[3], repeated.
    pub const DMA_WRITE: u64 = 9;
    /// `smc #0` with x0..x6 = args[0..7]. Response: x[0..4] = x0..x3 after it.
    pub const SMC: u64 = 10;
    /// Store a pair of registers (`stp`), args[1] and args[2], to IPA args[0].
    pub const WRITE_PAIR: u64 = 11;
    /// Swap args[1] with the u64 at IPA args[0] in one instruction (`swp`). Response: x[0] = old value.
    pub const SWAP: u64 = 12;
    /// CPU 0 stores the low 4 bytes of args[4] to IPA args[3] while CPU 1 writes args[1] and args[2] in turn to the
    /// u64 at IPA args[0]. args[5] seeds the moments at which one is interrupted by the other. Response: x[0] = how
    /// often CPU 1 has written both.
    pub const RACE: u64 = 13;
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
