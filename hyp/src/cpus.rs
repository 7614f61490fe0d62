//! The CPUs: what each needs to come up at EL2, and which one runs here.

use core::arch::asm;
use core::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use hyp_core::addr::PhysAddr;
use hyp_core::hw::Cpu as _;

use crate::hw::Machine;
use crate::layout::{self, MAX_CPUS, STACK, STACKS_VA, image_to_phys, stack_slot, symbol};
use crate::stage1::Regime;
use crate::{host, info, psci, sysreg};

/// What `idmap_enter` (entry.s) loads before a CPU has an MMU, one cache line: MAIR_EL2, TCR_EL2, TTBR0_EL2, SCTLR_EL2;
/// TPIDR_EL2, the virtual address of the CPU's stack slot, which is also how a CPU knows which one it is; SP, VBAR_EL2, and where
/// the CPU goes on, at its linked address.
#[repr(C, align(64))]
struct CpuBoot([AtomicU64; 8]);

/// One CPU.
pub(crate) struct Cpu {
    boot: CpuBoot,
    /// MPIDR_EL1 affinity, as the device tree and PSCI write it.
    pub(crate) affinity: AtomicU64,
    /// A state of [`psci`].
    pub(crate) state: AtomicU8,
    /// Where the host wants it to start, and with which x0.
    pub(crate) host_entry: AtomicU64,
    pub(crate) host_x0: AtomicU64,
}

#[expect(clippy::declare_interior_mutable_const, reason = "only used to fill the static below")]
const ZERO: AtomicU64 = AtomicU64::new(0);

static CPUS: [Cpu; MAX_CPUS] = [const {
    Cpu {
        boot: CpuBoot([ZERO; 8]),
        affinity: ZERO,
        state: AtomicU8::new(psci::OFF),
        host_entry: ZERO,
        host_x0: ZERO,
    }
}; MAX_CPUS];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// MPIDR_EL1's affinity fields.
const AFFINITY: u64 = 0xff_00ff_ffff;

/// All CPUs of the machine.
pub(crate) fn all() -> &'static [Cpu] {
    &CPUS[..COUNT.load(Relaxed)]
}

/// The CPU that runs this, as an index into [`all`]; 0 while it has no stack of its own yet.
pub(crate) fn this() -> usize {
    let slot = sysreg::read!("tpidr_el2");
    if slot == 0 { 0 } else { ((slot - STACKS_VA) / layout::STACK_SLOT) as usize }
}

/// The CPU with this affinity, as an index into [`all`].
pub(crate) fn by_affinity(affinity: u64) -> Option<usize> {
    all().iter().position(|cpu| cpu.affinity.load(Relaxed) == affinity)
}

/// Takes down every CPU's affinity, this CPU's first.
pub(crate) fn init(affinities: &[u64]) {
    let own = sysreg::read!("mpidr_el1") & AFFINITY;
    assert!(affinities.contains(&own), "device tree: no cpu with the boot CPU's affinity {own:#x}");
    let others = affinities.iter().copied().filter(|&affinity| affinity != own);
    for (cpu, affinity) in CPUS.iter().zip([own].into_iter().chain(others)) {
        cpu.affinity.store(affinity, Relaxed);
    }
    COUNT.store(affinities.len(), Relaxed);
    CPUS[0].state.store(psci::ON, Relaxed);
}

/// Fills in what every CPU needs to enter `regime`. From then on [`boot_params`] can be given away.
pub(crate) fn prepare(regime: &Regime) {
    for (index, cpu) in CPUS.iter().enumerate() {
        let (slot, vectors, entry) = (stack_slot(index), symbol!(vectors), arrive as *const () as u64);
        let Regime { mair_el2, tcr_el2, ttbr0_el2, sctlr_el2 } = *regime;
        let values = [mair_el2, tcr_el2, ttbr0_el2.0, sctlr_el2, slot, slot + STACK.end, vectors, entry];
        cpu.boot.0.iter().zip(values).for_each(|(word, value)| word.store(value, Relaxed));
        clean_to_poc((&raw const cpu.boot) as u64, hyp_core::faulty::boot_bytes(size_of::<CpuBoot>() as u64));
    }
}

/// Physical addresses of the code that brings CPU `index` to EL2's Rust code, and of the argument that it
/// takes in x0.
pub(crate) fn boot_params(index: usize) -> (PhysAddr, PhysAddr) {
    let code = image_to_phys(symbol!(idmap_enter));
    (code, image_to_phys((&raw const CPUS[index].boot) as u64))
}

/// Leaves the boot tables for good: this CPU, the first, arrives like every other one.
pub(crate) fn leave_boot() -> ! {
    let (code, argument) = boot_params(0);
    // SAFETY: `idmap_enter` is in the page that the boot tables and the final ones map at its physical
    // address. It ends in `arrive` with a fresh stack; nothing of this stack is needed again.
    unsafe { asm!("br {}", in(reg) code.0, in("x0") argument.0, options(noreturn)) }
}

/// Makes the `size` bytes at `va` visible to a CPU whose caches are off.
pub(crate) fn clean_to_poc(va: u64, size: u64) {
    // Down to the smallest line that there can be.
    for line in (va & !15..va + size).step_by(16) {
        // SAFETY: cleaning a cache line changes no contents.
        unsafe { asm!("dc cvac, {}", in(reg) line, options(nostack, preserves_flags)) };
    }
    Machine.dsb_sy();
}

/// Where a CPU arrives on the final tables: the first one after boot, one that the host has switched on, one
/// that wakes up with its state lost.
extern "C" fn arrive() -> ! {
    let cpu = &CPUS[this()];
    host::init();
    info::mark_ready();
    cpu.state.store(psci::ON, Relaxed);
    host::start(cpu.host_entry.load(Relaxed), cpu.host_x0.load(Relaxed))
}
