//! The hypervisor's core on hardware of the harness's own, each step held against the specification.
//!
//! `hyp-core` is generic over memory, barriers and the SMMU. Here it runs on memory that the harness's decoders read, so that
//! what it leaves there is looked at with the same eyes as a machine under QEMU: a snapshot, the checks of every state, the
//! specification; and a TLB for the CPUs and one for the SMMU that forget only what is invalidated. A step takes some
//! microseconds, so that scopes can be visited that are too large for a machine, and two CPUs under thousands of schedules.
//!
//! What is not here: the host's registers, exceptions, the order of events, the SMMU's driver and the emulated SMMU and ITS.
//! This is the one crate that knows both sides, and only tests use it.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`hardware`] | memory that says what was written, barriers, TLBs |
//! | `accounts` | the page pools' accounts |
//! | [`boot`] | from options to a machine that has booted |
//! | [`machine`] | [`Machine`]: performs operations as the host's CPUs and devices |
//! | [`twin`] | [`Twin`]: a machine under its judges |
#![forbid(unsafe_code)]

mod accounts;
pub mod boot;
pub mod hardware;
pub mod machine;
pub mod twin;

pub use boot::Board;
pub use machine::Machine;
pub use twin::Twin;
