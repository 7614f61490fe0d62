//! A client of the GDB Remote Serial Protocol, as far as QEMU's gdbstub speaks it.
//!
//! - [`packet`]: framing, checksum, escapes and run lengths, as pure functions;
//! - [`codec`]: the same as a codec of tokio;
//! - [`stop`]: stop replies;
//! - [`target`]: the target description (register numbers by name);
//! - `features`: its documents, as they are handed out;
//! - [`relay`]: what goes between a debugger and a gdbstub;
//! - [`client`]: requests, pipelining, continue and step, with a timeout on every wait.
//!
//! The protocol is described in the GDB manual, appendix "GDB Remote Serial Protocol".

pub mod client;
pub mod codec;
mod features;
pub mod hex;
pub mod packet;
pub(crate) mod relay;
pub mod stop;
pub mod target;

pub use client::{Client, RspError};
pub use stop::StopReply;
pub use target::{Register, TargetDescription};
