//! Ctrl-C: the first one ends every wait, so that machines are taken down in order; the second one ends the command.

use std::sync::OnceLock;

use parallax_machine::CancellationToken;

use parallax_engine::status::Status;

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
