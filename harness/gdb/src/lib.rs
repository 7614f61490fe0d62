//! Everything behind `parallax gdb`: a GDB server on a live run or on a recording.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`debuggee`] | [`Debuggee`]: what a debugger may ask, and how it is answered |
//! | [`performed`], [`recorded`] | the two debuggees: a live run, a recording |
//! | [`server`] | one client, from its first packet to its last |
//! | [`listen`], [`wire`] | where clients come from; a client's socket |
//! | [`session`] | what gdb is given to source and to read |
//! | [`program`] | a trace as a program with line tables |
//! | [`reader`] | numbers and words of monitor commands |
//! | `commands`, `history`, `state_view` | monitor commands: what there is, on the list of operations, on one state |
//! | `target`, `motion` | [`Debuggee`] as the `gdbstub` crate wants it |
//!
//! The protocol is the `gdbstub` crate's business. What is sent by a client is believed as little as any input: a packet that
//! is none ends that client's connection and nothing else.
#![forbid(unsafe_code)]

mod commands;
pub mod debuggee;
mod folder;
pub mod history;
mod inside;
pub mod listen;
mod moment;
mod motion;
pub mod performed;
pub mod program;
pub mod reader;
pub mod recorded;
pub mod server;
pub mod session;
mod smmu_registers;
mod state_view;
mod target;
pub mod wire;

pub use debuggee::{Debuggee, Lost, Motion, Point, PointKind, Stop};
pub use listen::Listener;
pub use performed::Performed;
pub use recorded::Recorded;
pub use server::{Ending, serve};
pub use wire::Wire;
