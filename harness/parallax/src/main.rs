//! The `parallax` command: see [`parallax::cmd`].
#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use parallax::cmd::Cli;
use parallax_engine::visible;

fn main() -> ExitCode {
    let status = parallax::cmd::main(&Cli::parse()).unwrap_or_else(|error| {
        // What is wrong is told in the words of what was read.
        let what = visible::lines(&format!("{error:#}"));
        let (red, plain) = (parallax::cli::ERROR.render(), parallax::cli::ERROR.render_reset());
        // Where nobody reads it, the status still says it.
        let _ = writeln!(anstream::stderr(), "{red}error:{plain} {what}");
        parallax::cmd::status_of(&error)
    });
    status.into()
}
