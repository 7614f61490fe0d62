//! An unmodified Linux as the hypervisor's host, with disks and a network behind the SMMU.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`LinuxSpec`], [`prepare`] | the machine, and what it needs: a kernel, the hypervisor built |
//! | [`choice`], `kernel`, `modules` | which kernel is booted, and what it can be |
//! | `guest`, `disks` | its initramfs and what it works on |
//! | [`boot`] | one boot, from its disks to what was found |
//! | [`drive`], `view`, `console_reader` | running it, looking at it, and hearing what it says |
//! | [`operations`] | operations of the hypervisor beside its work |
//! | [`summary()`] | what came of a boot, for a person |
#![forbid(unsafe_code)]

pub mod boot;
pub mod choice;
mod commands;
mod console_reader;
mod disks;
pub mod drive;
pub mod guest;
mod kernel;
mod modules;
mod oops;
pub mod operations;
pub mod prepare;
mod spec;
mod summary;
mod view;

pub use boot::{Boot, Outcome, Show};
pub use choice::{Choice, choose, kernel_and_busybox};
pub use drive::Plan;
pub use spec::LinuxSpec;
pub use summary::summary;
