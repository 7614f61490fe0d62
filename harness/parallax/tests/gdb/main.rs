//! The real gdb on both kinds of debuggee: by itself, and behind an editor.

mod answers;
mod clients;
mod dap;
mod documented;
mod editor;
mod hostile;
#[path = "../program/mod.rs"]
mod program;
#[path = "../recorded/mod.rs"]
mod recorded;
mod server;
mod sessions;
