//! The standard output.

use std::io::{self, ErrorKind, Write};

use anyhow::Result;
use parallax_engine::status::{Failure, Status};
use parallax_engine::visible;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FileType;
use rustix::io::Errno;

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
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(unwritable(&error).into()),
        _ => Ok(()),
    }
}

/// That the standard output takes nothing, which is no wrong usage: a terminal that was closed, as SIGHUP says, too, or a disk that is full.
fn unwritable(error: &io::Error) -> Failure {
    let is_device = rustix::fs::fstat(io::stdout())
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice);
    Failure { status: status_of(error, is_device), message: format!("{STANDARD_OUTPUT}: {error}") }
}

/// The status of a command whose output failed with `error`, to a terminal or another device or not.
fn status_of(error: &io::Error, is_device: bool) -> Status {
    let hung_up = is_device && error.raw_os_error() == Some(Errno::IO.raw_os_error());
    if hung_up { Status::Interrupted } else { Status::Setup }
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
            written.map_err(|error| unwritable(&error).into())
        }
    }
}

/// A value as the command line has it.
pub(super) fn value_name(value: impl clap::ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_that_takes_nothing_is_no_wrong_usage() {
        let of = |errno: Errno, is_device| {
            status_of(&io::Error::from_raw_os_error(errno.raw_os_error()), is_device)
        };
        assert_eq!(of(Errno::IO, true), Status::Interrupted, "its terminal was closed");
        assert_eq!(of(Errno::IO, false), Status::Setup, "its disk is broken");
        for errno in [Errno::NOSPC, Errno::BADF, Errno::FBIG] {
            assert_eq!((of(errno, true), of(errno, false)), (Status::Setup, Status::Setup));
        }
    }
}
