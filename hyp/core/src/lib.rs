//! The hypervisor's logic, free of assembly and of `unsafe`, so that it can be tested on any machine.
//!
//! It reaches hardware only through the traits of [`hw`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod access;
pub mod addr;
pub mod error;
#[cfg(feature = "faults")]
pub mod fault;
pub mod faulty;
pub mod hw;
pub mod hypercall;
pub mod id;
pub mod idmap;
pub mod its;
pub mod options;
pub mod ownership;
pub mod page_pool;
pub mod page_state;
pub mod pgtable;
pub mod regions;
pub mod smccc;
pub mod smmu;
