//! The hypervisor's logic, free of assembly and of `unsafe`, so that it can be tested on any machine.
//!
//! It reaches hardware only through the traits of [`hw`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod addr;
pub mod error;
pub mod fault;
pub mod hw;
