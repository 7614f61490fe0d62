//! The `parallax` command: see [`parallax::cmd`].
#![forbid(unsafe_code)]

use std::process::ExitCode;

use anstream::eprintln;
use clap::Parser;
use parallax::cmd::Cli;
use parallax_engine::status::{Failure, Status};

fn main() -> ExitCode {
    let status = parallax::cmd::main(&Cli::parse()).unwrap_or_else(|error| {
        eprintln!("{}error:{} {error:#}", parallax::cli::ERROR.render(), parallax::cli::ERROR.render_reset());
        error.downcast_ref::<Failure>().map_or(Status::Setup, |failure| failure.status)
    });
    status.into()
}
