//! The standard output.

use std::io::{ErrorKind, Write};

use anyhow::{Context, Result};
use parallax_engine::status::Failure;

/// Writes to standard output; that its reader went away is no error.
pub(super) fn print(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::usage(format!("standard output: {error}")).into())
        }
        _ => Ok(()),
    }
}

/// Flushes what was `written` to the standard output in parts; that its reader went away is no error.
pub(super) fn flushed(written: std::io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.and_then(|()| std::io::stdout().flush()).context("standard output"),
    }
}
