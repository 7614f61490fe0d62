//! The CPUs: bringing them up, and handing one a request.
//!
//! CPU 0 drives. Every other CPU sleeps in `WFI` (so that virtual time can jump) until an SGI tells it to look at
//! its [`Cpu`] record; with another SGI it tells CPU 0 that it is done.
//!
//! Safety: a record's exchange area belongs to CPU 0 while the state is `IDLE`, and to the record's CPU while it is
//! `ASKED`; the state changes hands with release/acquire.

use core::arch::asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};

use parallax_abi::mailbox::{Request, Response, kind};

use crate::board::Board;
use crate::calls;
use crate::gic;
use crate::mailbox;
use crate::start::secondary_start;
use crate::time::{self, Deadline};
use crate::vectors::Recovery;

/// CPUs that can take part.
pub(crate) const MAX_CPUS: usize = 8;

/// PSCI CPU_ON, 64 bit.
const PSCI_CPU_ON: u64 = 0xc400_0003;
/// How long a CPU may take to come up, or to perform a request: this many slices of so many milliseconds of virtual
/// time. Slices, because a debugger's stop lets QEMU's clock jump to the next alarm: that costs one slice, not all.
const PATIENCE: (u32, u64) = (64, 20);

/// State: not up.
const OFF: u64 = 0;
/// State: waits for a request; its last response stands in the exchange area.
const IDLE: u64 = 1;
/// State: a request stands in the exchange area.
const ASKED: u64 = 2;

/// One CPU's record. TPIDR_EL1 points at it.
#[repr(C)]
pub(crate) struct Cpu {
    /// First, so that TPIDR_EL1 points at it too.
    pub(crate) recovery: Recovery,
    /// Its number.
    pub(crate) index: usize,
    state: AtomicU64,
    exchange: UnsafeCell<(Request, Response)>,
}

// SAFETY: `recovery` is used by its own CPU only; `exchange` changes hands with `state` (see the module).
unsafe impl Sync for Cpu {}

static CPUS: [Cpu; MAX_CPUS] =
    [Cpu::new(0), Cpu::new(1), Cpu::new(2), Cpu::new(3), Cpu::new(4), Cpu::new(5), Cpu::new(6), Cpu::new(7)];

impl Cpu {
    const fn new(index: usize) -> Self {
        let request = Request { cpu: 0, op: 0, args: [0; 7] };
        let response = Response::of(0);
        Self {
            recovery: Recovery::new(),
            index,
            state: AtomicU64::new(OFF),
            exchange: UnsafeCell::new((request, response)),
        }
    }

    /// Makes record `index` that of the CPU this runs on. Once on each CPU, before anything else.
    pub(crate) fn enter(index: usize) -> &'static Self {
        let cpu = &CPUS[index];
        // SAFETY: TPIDR_EL1 is for software's use; only this module and the vectors use it.
        unsafe { asm!("msr tpidr_el1, {cpu}", cpu = in(reg) cpu, options(nostack)) };
        cpu
    }

    /// The record of the CPU this runs on.
    pub(crate) fn current() -> &'static Self {
        let cpu: *const Self;
        // SAFETY: a read of a register.
        unsafe { asm!("mrs {cpu}, tpidr_el1", cpu = out(reg) cpu, options(nomem, nostack)) };
        // SAFETY: `enter` put the address of a static there.
        unsafe { &*cpu }
    }

    /// Takes requests for good. For every CPU but CPU 0, of which `board` tells how to reach it.
    pub(crate) fn serve(&self, board: &Board, perform: fn(&Self, &Request) -> Response) -> ! {
        self.finish(board);
        loop {
            gic::acknowledge_all();
            if self.state.load(Ordering::Acquire) == ASKED {
                // SAFETY: in state ASKED the area is this CPU's.
                let exchange = unsafe { &mut *self.exchange.get() };
                exchange.1 = perform(self, &exchange.0);
                mailbox::parallax_done();
                self.finish(board);
            } else {
                time::wait_for_interrupt();
            }
        }
    }

    fn finish(&self, board: &Board) {
        self.state.store(IDLE, Ordering::Release);
        gic::wake(board.cpus[0]);
    }

    fn is_idle(&self) -> bool {
        self.state.load(Ordering::Acquire) == IDLE
    }

    /// Waits for the CPU, within [`PATIENCE`].
    fn becomes_idle(&self) -> bool {
        let (slices, ms) = PATIENCE;
        (0..slices).any(|_| time::wait_until(Deadline::in_ms(ms), || self.is_idle()))
    }
}

/// Lets CPU `index` perform `request`. CPU 0 only.
///
/// A CPU that is still busy with an earlier request, or does not answer within [`PATIENCE`], gives [`kind::TIMEOUT`].
pub(crate) fn ask(board: &Board, index: usize, request: &Request) -> Response {
    if begin(board, index, request) { end(index) } else { TIMEOUT }
}

const TIMEOUT: Response = Response::of(kind::TIMEOUT);

/// The first half of [`ask`]: hands `request` to CPU `index`, unless that is busy or not up. CPU 0 only.
pub(crate) fn begin(board: &Board, index: usize, request: &Request) -> bool {
    let cpu = &CPUS[index];
    if !cpu.is_idle() {
        return false;
    }
    // SAFETY: in state IDLE the area is CPU 0's.
    unsafe { (*cpu.exchange.get()).0 = *request };
    cpu.state.store(ASKED, Ordering::Release);
    gic::wake(board.cpus[index]);
    true
}

/// The second half: waits for the response of CPU `index`. CPU 0 only, after [`begin`].
pub(crate) fn end(index: usize) -> Response {
    let cpu = &CPUS[index];
    if !cpu.becomes_idle() {
        return TIMEOUT;
    }
    // SAFETY: in state IDLE the area is CPU 0's.
    unsafe { (*cpu.exchange.get()).1 }
}

/// Brings the other CPUs up, in order, until one does not come. Returns how many CPUs there are now, CPU 0 included.
pub(crate) fn bring_up(board: &Board) -> usize {
    let entry = secondary_start as *const () as u64;
    for (index, cpu) in CPUS.iter().enumerate().take(board.cpu_count).skip(1) {
        let call = calls::call(board.conduit, [PSCI_CPU_ON, board.cpus[index], entry, index as u64, 0, 0, 0]);
        let accepted = call.is_ok_and(|x| x[0] == 0);
        if !accepted || !cpu.becomes_idle() {
            return index;
        }
    }
    board.cpu_count
}
