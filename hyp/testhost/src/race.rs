//! A store of CPU 0 while CPU 1 rewrites memory: what a hypervisor reads twice is not the same twice.
//!
//! Under QEMU's single thread a CPU runs until the next alarm of any timer. CPU 1 sets one after each pair of stores,
//! a few instructions to some hundred ahead, so that CPU 0 is cut at many places on its way through the hypervisor.

use core::sync::atomic::{AtomicBool, Ordering};

use parallax_abi::mailbox::{Request, Response, kind};

use crate::access;
use crate::cpus::{self, Cpu};
use crate::gic;
use crate::host;
use crate::mmu::{self, MemoryType};
use crate::time::{self, Deadline};
use crate::vectors::Trap;

/// The CPU that rewrites.
const REWRITER: usize = 1;
/// Milliseconds of virtual time that it may take to begin.
const PATIENCE_MS: u64 = 100;
/// Shortest and longest time to the alarm (ns): at two of them an instruction, 25 to 250 instructions for each CPU.
const SLICE: (u64, u64) = (100, 1000);
/// More pairs of stores than any race needs: a hypervisor that never comes back must not keep CPU 1 for ever.
const MAX_ROUNDS: u64 = 1 << 16;

/// CPU 1 is to rewrite.
static WANTED: AtomicBool = AtomicBool::new(false);
/// CPU 1 rewrites.
static RUNNING: AtomicBool = AtomicBool::new(false);

/// The part of CPU `cpu` in a race. `None` if it has none.
pub(crate) fn perform(cpu: &Cpu, request: &Request) -> Option<Result<[u64; 4], Trap>> {
    match cpu.index {
        0 => lead(request),
        REWRITER if WANTED.load(Ordering::Acquire) => Some(rewrite(request)),
        _ => None,
    }
}

/// CPU 0: stores once, while the other one is at work. Gives how many pairs that one has written.
fn lead(request: &Request) -> Option<Result<[u64; 4], Trap>> {
    let [_, _, _, target, value, ..] = request.args;
    let ram = &host().board.ram;
    let memory = if ram.contains(target) { MemoryType::Normal } else { MemoryType::Device };
    let va = mmu::window(0, target, 4, memory)?;
    WANTED.store(true, Ordering::Release);
    if !cpus::begin(&host().board, REWRITER, request) {
        WANTED.store(false, Ordering::Release);
        return None;
    }
    time::wait_until(Deadline::in_ms(PATIENCE_MS), || RUNNING.load(Ordering::Acquire));
    let stored = access::store(va, 4, value);
    WANTED.store(false, Ordering::Release);
    let other: Response = cpus::end(REWRITER);
    // Where the rewritten page was out of reach, there was no race: that counts as a failed access.
    Some(match (stored, other.kind) {
        (Ok(()), kind::ABORT) => Err(Trap { esr: other.esr, far: other.far, ..Trap::default() }),
        (stored, _) => stored.map(|()| other.x),
    })
}

/// CPU 1: writes one value after the other until it is told to stop.
fn rewrite(request: &Request) -> Result<[u64; 4], Trap> {
    let [at, first, second, _, _, seed, ..] = request.args;
    let Some(va) = mmu::window(REWRITER, at, 8, MemoryType::Normal) else { return Ok([0; 4]) };
    let mut noise = seed | 1;
    let mut result = Ok([0; 4]);
    for round in 0..MAX_ROUNDS {
        result = access::store(va, 8, first)
            .and_then(|()| access::store(va, 8, second))
            .map(|()| [round + 1, 0, 0, 0]);
        if round == 0 {
            RUNNING.store(true, Ordering::Release);
            gic::wake(host().board.cpus[0]);
        }
        if result.is_err() || !WANTED.load(Ordering::Acquire) {
            break;
        }
        // Knuth's MMIX generator: the upper bits are the good ones.
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        time::cut_slice(SLICE.0 + (noise >> 48) % (SLICE.1 - SLICE.0));
    }
    time::cut_slice(0);
    RUNNING.store(false, Ordering::Release);
    result
}
