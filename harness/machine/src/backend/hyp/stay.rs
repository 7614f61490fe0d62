//! Waiting for a machine to stop, and no longer than EL2 can be at work.

use std::time::Duration;

use crate::qemu::Watched;
use crate::rsp::{Client, RspError, StopReply};

/// How long to wait until the journal is looked at.
pub(super) const SLICE: Duration = Duration::from_millis(250);

/// Whether EL2 will not return to the host any more.
pub(super) fn is_endless(watched: &Watched) -> bool {
    matches!(watched, Watched::Journal(journal, _) if journal.is_endless())
}

/// Waits for a machine that was started to stop, `limit` at most, and gives its stop reply; none if it does not stop.
pub(super) async fn stopped(
    client: &mut Client,
    watched: &Watched,
    limit: Duration,
) -> Result<Option<Vec<u8>>, RspError> {
    let mut left = limit;
    while !left.is_zero() {
        let slice = left.min(SLICE);
        match client.stopped(slice).await? {
            Some(reply) => return Ok(Some(reply)),
            None if is_endless(watched) => return Ok(None),
            None => left -= slice,
        }
    }
    Ok(None)
}

/// The stop that `reply` tells of.
pub(super) fn parse(reply: &[u8]) -> Result<StopReply, RspError> {
    StopReply::parse(reply).ok_or_else(|| RspError::Refused {
        request: "vCont;c".to_owned(),
        reply: String::from_utf8_lossy(reply).into_owned(),
    })
}
