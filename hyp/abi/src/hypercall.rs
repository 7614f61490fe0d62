//! Hypercalls: `hvc #0` with the SMCCC function id in x0 and arguments from x1 on.
//!
//! On return x0 is the SMCCC status and x1 the result (0, or a negative error code of [`crate::errno`]); x2 and x3
//! carry further results where an operation says so, and are 0 otherwise. After an id that nobody knows x1 is 0, too. Ids
//! below [`FIRST_OWN`] are upstream pKVM's (Linux 7.3). The ids stand in the table of [`crate::operation`].

pub use crate::operation::ids::*;

/// SMCCC owner bits of every id: fast call, 64 bit, vendor-specific hypervisor service as pKVM uses it.
pub const BASE: u64 = 0xc600_0000;

/// Ids from here on are this project's own: functions that upstream keeps inside the hypervisor.
pub const FIRST_OWN: u64 = BASE | 0x100;
