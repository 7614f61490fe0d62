//! What the hypervisor and the harness agree on.
//!
//! This is the only crate that both sides use. It holds numbers and memory layouts: hypercall ids, error codes,
//! the test host's mailbox, the hypervisor's self-description, a plugin's files and the bit positions of a
//! page-state entry. It holds no encoder and no decoder of any translation table, on purpose: code shared by the
//! hypervisor and by its judge would hide the very bugs that the judge is there to find.
#![no_std]
#![forbid(unsafe_code)]

pub mod coverage;
pub mod errno;
pub mod fault;
pub mod hypercall;
pub mod info;
pub mod journal;
pub mod mailbox;
pub mod operation;
pub mod page;
pub mod pool;
pub mod smmu_host;
