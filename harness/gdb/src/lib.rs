//! A GDB server in front of whatever is a [`Debuggee`].
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`debuggee`] | [`Debuggee`]: what a debugger may ask, and how it is answered |
//! | [`server`] | one client, from its first packet to its last |
//! | [`wire`] | the client's socket |
//! | [`program`] | a trace as a program with line tables |
//! | [`reader`] | numbers and words of monitor commands |
//! | `target`, `motion` | [`Debuggee`] as the `gdbstub` crate wants it |
//!
//! The protocol is the `gdbstub` crate's business. What is sent by a client is believed as little as any input: a packet that
//! is none ends that client's connection and nothing else.
#![forbid(unsafe_code)]

pub mod debuggee;
mod motion;
pub mod program;
pub mod reader;
pub mod server;
mod target;
pub mod wire;

pub use debuggee::{Debuggee, Lost, Motion, Point, PointKind, Stop};
pub use server::{Ending, serve};
pub use wire::Wire;
