//! Letting the machine go on, whatever has become of the connection.
//!
//! A gdbstub stops its machine when a client comes, and the end of a connection does not let it go on: only a detach does.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::address::GdbAddress;
use crate::rsp::client::{Client, Parting};

/// Limit of each wait here.
const LIMIT: Duration = Duration::from_secs(1);

/// Detaches from `processes`; from none, the machine stays as it is. Memory is virtual again for who comes next. Where the connection has
/// ended, another one does it. Whether the gdbstub has said that it did.
pub(super) async fn leave(client: &mut Client, address: &GdbAddress, processes: &BTreeSet<String>) -> bool {
    // A client that is new has to say first that it tells processes apart.
    let before = ["qSupported:multiprocess+", "Qqemu.PhyMemMode:0"].map(str::to_owned);
    let detaches: Vec<String> = processes.iter().map(|process| format!("D;{process}")).collect();
    match client.part(&before, &detaches, LIMIT).await {
        Parting::Heard => true,
        Parting::Silence => false,
        // Nothing has stopped it since.
        Parting::Ended if detaches.is_empty() => true,
        Parting::Ended => match address.connect(&CancellationToken::new(), LIMIT).await {
            Ok(mut again) => again.part(&before, &detaches, LIMIT).await == Parting::Heard,
            Err(_) => false,
        },
    }
}

/// The processes of `threads`, whose names are `pPROCESS.THREAD`.
pub(super) fn processes(threads: &[String]) -> BTreeSet<String> {
    let process = |name: &String| Some(name.strip_prefix('p')?.split_once('.')?.0.to_owned());
    threads.iter().filter_map(process).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_process_is_named_once() {
        let threads = ["p1.1", "p1.2", "p02.1"].map(str::to_owned);
        assert_eq!(Vec::from_iter(processes(&threads)), ["02", "1"]);
    }
}
