//! The real gdb on both kinds of debuggee: by itself, and behind an editor.

mod clients;
mod dap;
mod editor;
mod server;
mod sessions;
