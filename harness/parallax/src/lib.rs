//! The `parallax` command, as a library: the command line ([`cli`]), and a module a subcommand ([`cmd`]).
#![forbid(unsafe_code)]

pub mod cli;
pub mod cmd;
pub mod interrupt;
mod saves;
pub mod schema;
pub mod specified;
