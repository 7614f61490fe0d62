//! The command in a real pseudo-terminal: what a person sees there.

mod completions;
#[path = "../program/mod.rs"]
mod program;
mod pty;
mod review;
