//! The command in a real pseudo-terminal: what a person sees there.

mod completions;
mod pty;
mod review;
