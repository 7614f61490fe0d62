//! The standard output.

use std::io::{ErrorKind, Write};

use anyhow::Result;
use parallax_engine::status::Failure;
use parallax_engine::visible;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How errors call it.
const STANDARD_OUTPUT: &str = "standard output";

/// Writes what a person reads to standard output. What is in it may come from anywhere: it steers no terminal. That its
/// reader went away is no error.
pub(super) fn print(text: &str) -> Result<()> {
    print_as_it_is(&visible::lines(text))
}

/// Writes what a program reads, or what has colours of our own.
pub(super) fn print_as_it_is(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::file(STANDARD_OUTPUT, &error).into())
        }
        _ => Ok(()),
    }
}

/// Whether the standard output is a pipe that nobody reads any more.
pub(super) fn is_unread() -> bool {
    let out = std::io::stdout();
    let mut fds = [PollFd::new(&out, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().contains(PollFlags::ERR)
}

/// Writes `document`, which a program reads.
pub(super) fn print_document(document: &impl serde::Serialize) -> Result<()> {
    print_as_it_is(&(serde_json::to_string_pretty(document)? + "\n"))
}

/// Flushes what was `written` to the standard output in parts; that its reader went away is no error.
pub(super) fn flushed(written: std::io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => {
            let written = written.and_then(|()| std::io::stdout().flush());
            written.map_err(|error| Failure::file(STANDARD_OUTPUT, &error).into())
        }
    }
}

/// A value as the command line has it.
pub(super) fn value_name(value: impl clap::ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
