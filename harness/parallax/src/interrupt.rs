//! Signals. Ctrl-C: the first one ends every wait, so that machines are taken down in order; the second one ends the command.
//! SIGXFSZ ends nothing.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use parallax_machine::CancellationToken;

use parallax_engine::status::Status;
use signal_hook::consts::SIGXFSZ;

static CANCEL: OnceLock<CancellationToken> = OnceLock::new();

/// The token that Ctrl-C (and SIGTERM, SIGHUP) cancels.
///
/// # Errors
/// No handler can be installed.
pub fn token() -> Result<CancellationToken, ctrlc::Error> {
    if let Some(token) = CANCEL.get() {
        return Ok(token.clone());
    }
    let token = CANCEL.get_or_init(CancellationToken::new).clone();
    let cancel = token.clone();
    ctrlc::set_handler(move || {
        if cancel.is_cancelled() {
            std::process::exit(i32::from(Status::Interrupted.code()));
        }
        cancel.cancel();
    })?;
    Ok(token)
}

/// A file that becomes larger than the limit of the shell (`ulimit -f`) is an error of the write, which is told as a full disk is,
/// and no signal that ends the command without a word.
///
/// # Errors
/// No handler can be installed.
pub fn large_files_are_errors() -> std::io::Result<()> {
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(drop)
}
