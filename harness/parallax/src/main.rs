//! The `parallax` command: see [`parallax::cmd`].
#![forbid(unsafe_code)]

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;
use parallax::cmd::Cli;
use parallax_engine::status::Status;
use parallax_engine::visible;

/// Prints the help, or what is wrong with the arguments.
fn help(asked: &clap::Error) -> ExitCode {
    match asked.print() {
        Err(cause) if cause.kind() != ErrorKind::BrokenPipe => {
            let _ = writeln!(anstream::stderr(), "error: the help cannot be written: {cause}");
            Status::Setup.into()
        }
        _ => ExitCode::from(u8::try_from(asked.exit_code()).unwrap_or(2)),
    }
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(asked) => return help(&asked),
    };
    let status = parallax::cmd::main(&cli).unwrap_or_else(|error| {
        // What is wrong is told in the words of what was read.
        let what = visible::lines(&format!("{error:#}"));
        let (red, plain) = (parallax::cli::ERROR.render(), parallax::cli::ERROR.render_reset());
        // Where nobody reads it, the status still says it.
        let _ = writeln!(anstream::stderr(), "{red}error:{plain} {what}");
        if let Some(note) = parallax::cmd::note(&error) {
            let _ = writeln!(anstream::stderr(), "note: {}", visible::lines(&note));
        }
        parallax::cmd::status_of(&error)
    });
    status.into()
}
