//! The EL2 hypervisor: the machine's side of it. The logic is in `hyp_core`; here is what needs instructions.
//!
//! | module | what for |
//! | --- | --- |
//! | `entry.s`, [`boot_tables`], [`boot`] | from the loader's jump to the host's first instruction |
//! | [`layout`] | EL2's virtual address space and the image's symbols |
//! | [`platform`] | what the device tree says |
//! | [`host_tree`] | what the host gets to read of it |
//! | [`stage1`] | EL2's own translation: W^X, guard pages |
//! | [`smmu`] | the SMMU from its frame to its driver |
//! | [`cpus`], [`psci`] | every CPU's entry, and the host's PSCI calls |
//! | `vectors.s`, [`traps`], [`abort`], [`mmio`], [`inject`], [`host`] | exits of the host and its register context |
//! | [`hw`], [`sysreg`], [`console`] | instructions behind `hyp_core::hw`, system registers, the UART |
//! | [`panic`], [`info`] | what the harness looks for |
//!
//! Unsafe code is here and nowhere else in the hypervisor; each block says why it may do what it does. The
//! rules that they lean on: after [`boot`] the linear map covers exactly the memory and frames that
//! `hyp_core` mapped, the logic hands out physical addresses of such memory only, and every CPU has its own
//! stack.
#![no_std]
#![no_main]

mod abort;
mod boot;
mod boot_tables;
mod console;
mod cpus;
mod gic;
mod host;
mod host_tree;
mod hw;
mod info;
mod inject;
mod layout;
mod lpi;
mod mmio;
mod panic;
mod platform;
mod psci;
mod smmu;
mod stage1;
mod sysreg;
mod traps;

core::arch::global_asm!(include_str!("entry.s"), options(raw));
core::arch::global_asm!(include_str!("vectors.s"), options(raw));
