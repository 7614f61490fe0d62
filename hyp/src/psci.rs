//! PSCI (DEN0022) relay: the host's calls go to the firmware, with entry points replaced by the hypervisor's
//! own.

use core::sync::atomic::Ordering::{AcqRel, Relaxed, Release};

use crate::cpus::{self, Cpu};
use crate::sysreg::smc;
use hyp_core::smccc;
use parallax_abi::errno::SMCCC_NOT_SUPPORTED;

/// [`Cpu::state`]: off.
pub(crate) const OFF: u8 = 0;
/// [`Cpu::state`]: asked to come up, not there yet.
pub(crate) const ON_PENDING: u8 = 1;
/// [`Cpu::state`]: on.
pub(crate) const ON: u8 = 2;

const VERSION: u64 = 0x8400_0000;
const CPU_SUSPEND: u64 = 0xc400_0001;
const CPU_OFF: u64 = 0x8400_0002;
const CPU_ON: u64 = 0xc400_0003;
const AFFINITY_INFO: u64 = 0xc400_0004;
const MIGRATE_INFO_TYPE: u64 = 0x8400_0006;
const SYSTEM_OFF: u64 = 0x8400_0008;
const SYSTEM_RESET: u64 = 0x8400_0009;
const FEATURES: u64 = 0x8400_000a;
/// The SMC64 convention's bit in a function id.
const SMC64: u64 = 1 << 30;

const NOT_SUPPORTED: u64 = SMCCC_NOT_SUPPORTED as u64;
const INVALID_PARAMETERS: u64 = -2_i64 as u64;
const ALREADY_ON: u64 = -4_i64 as u64;
const ON_PENDING_ERROR: u64 = -5_i64 as u64;

/// Whether `id` is in PSCI's range of function ids, SMC32 or SMC64.
pub(crate) const fn is_psci(id: u64) -> bool {
    id & !(SMC64 | 0x1f) == VERSION
}

/// Performs the host's PSCI call: `args` are x0 (the function id) to x3. Returns its x0.
pub(crate) fn call(args: [u64; 4]) -> u64 {
    // SMC32 calls have 32-bit arguments.
    let id = smccc::function(args[0]);
    let mask = if id & SMC64 == 0 { 0xffff_ffff } else { u64::MAX };
    let [_, a, b, c] = args.map(|arg| arg & mask);
    match known(id) {
        Some(VERSION | MIGRATE_INFO_TYPE | AFFINITY_INFO | SYSTEM_OFF | SYSTEM_RESET) => {
            smc([id, a, b, c])[0]
        }
        Some(FEATURES) if known(a).is_some() || a == smccc::VERSION => smc([id, a, 0, 0])[0],
        Some(CPU_ON) => cpu_on(a, b, c),
        Some(CPU_OFF) => cpu_off(id),
        Some(CPU_SUSPEND) => cpu_suspend(a, b, c),
        _ => NOT_SUPPORTED,
    }
}

/// The function behind `id`, named by its SMC64 id if it has one; `None` if it is not relayed.
fn known(id: u64) -> Option<u64> {
    match id {
        VERSION | CPU_OFF | MIGRATE_INFO_TYPE | SYSTEM_OFF | SYSTEM_RESET | FEATURES => Some(id),
        _ if matches!(id | SMC64, CPU_SUSPEND | CPU_ON | AFFINITY_INFO) => Some(id | SMC64),
        _ => None,
    }
}

fn set_host_entry(cpu: &Cpu, entry: u64, x0: u64) {
    cpu.host_entry.store(entry, Relaxed);
    cpu.host_x0.store(x0, Release);
}

fn cpu_on(affinity: u64, entry: u64, x0: u64) -> u64 {
    let Some(index) = cpus::by_affinity(affinity) else { return INVALID_PARAMETERS };
    let cpu = &cpus::all()[index];
    match cpu.state.compare_exchange(OFF, ON_PENDING, AcqRel, Relaxed) {
        Ok(_) => {}
        Err(ON_PENDING) => return ON_PENDING_ERROR,
        Err(_) => return ALREADY_ON,
    }
    set_host_entry(cpu, entry, x0);
    let (code, argument) = cpus::boot_params(index);
    let result = smc([CPU_ON, affinity, code.0, argument.0])[0];
    if result != 0 {
        cpu.state.store(OFF, Release);
    }
    result
}

fn cpu_off(id: u64) -> u64 {
    let cpu = &cpus::all()[cpus::this()];
    cpu.state.store(OFF, Release);
    let result = smc([id, 0, 0, 0])[0];
    // Still here: the firmware refused.
    cpu.state.store(ON, Release);
    result
}

fn cpu_suspend(power_state: u64, entry: u64, x0: u64) -> u64 {
    let index = cpus::this();
    set_host_entry(&cpus::all()[index], entry, x0);
    let (code, argument) = cpus::boot_params(index);
    smc([CPU_SUSPEND, power_state, code.0, argument.0])[0]
}
