//! The `parallax` command: see [`parallax::cmd`].
#![forbid(unsafe_code)]

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ContextValue;
use parallax::cmd::Cli;
use parallax_engine::status::Status;
use parallax_engine::visible;

/// `asked` with nothing of the arguments in it that steers a terminal: a name may come from a folder of somebody else's.
fn visibly(mut asked: clap::Error) -> clap::Error {
    let shown = |text: &String| visible::line(text).into_owned();
    let shown = |value: &ContextValue| match value {
        ContextValue::String(text) => Some(ContextValue::String(shown(text))),
        ContextValue::Strings(texts) => Some(ContextValue::Strings(texts.iter().map(shown).collect())),
        _ => None,
    };
    let all: Vec<_> = asked.context().filter_map(|(kind, value)| Some((kind, shown(value)?))).collect();
    all.into_iter().for_each(|(kind, value)| drop(asked.insert(kind, value)));
    asked
}

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
        Err(asked) => return help(&visibly(asked)),
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
