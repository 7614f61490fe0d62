//! Signals. Ctrl-C: the first one ends every wait, so that machines are taken down in order; the second one ends the command.
//! SIGXFSZ ends nothing.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::{fs, io, thread};

use parallax_machine::CancellationToken;

use parallax_engine::status::Status;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

static CANCEL: OnceLock<CancellationToken> = OnceLock::new();

/// The token that Ctrl-C (and SIGTERM, SIGHUP) cancels. A SIGHUP that whoever started the command ignores, as `nohup` does, stays so.
///
/// # Errors
/// No handler can be installed.
pub fn token() -> io::Result<CancellationToken> {
    if let Some(token) = CANCEL.get() {
        return Ok(token.clone());
    }
    let token = CANCEL.get_or_init(CancellationToken::new).clone();
    let cancel = token.clone();
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    if !ignores(&fs::read_to_string("/proc/self/status").unwrap_or_default(), SIGHUP) {
        signals.add_signal(SIGHUP)?;
    }
    thread::spawn(move || {
        for _ in signals.forever() {
            if cancel.is_cancelled() {
                std::process::exit(i32::from(Status::Interrupted.code()));
            }
            cancel.cancel();
        }
    });
    Ok(token)
}

/// Whether the process of this `status` (proc(5)) ignores `signal`: a bit of SigIgn for each, from 1 on.
fn ignores(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 != 0)
}

/// A file that becomes larger than the limit of the shell (`ulimit -f`) is an error of the write, which is told as a full disk is,
/// and no signal that ends the command without a word.
///
/// # Errors
/// No handler can be installed.
pub fn large_files_are_errors() -> std::io::Result<()> {
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nohup_ignores_stays_so() {
        let status =
            |mask| format!("SigBlk:\t0000000000000001\nSigIgn:\t{mask}\nSigCgt:\t0000000000000001\n");
        assert!(ignores(&status("0000000000001001"), SIGHUP));
        assert!(!ignores(&status("0000000000001000"), SIGHUP) && !ignores("", SIGHUP));
        assert!(ignores(&status("0000000000004000"), SIGTERM));
    }
}
