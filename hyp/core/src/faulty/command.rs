//! Commands that are lost, or name something else, on their way into the SMMU's queue.

use crate::addr::PAGE_SIZE;
use crate::fault::{Fault, on};
use crate::smmu::{Command, Vmid};

/// The command that the queue gets; `None` for none.
pub(crate) fn command(command: Command) -> Option<Command> {
    use Command::{Sync, TlbiNhAll, TlbiS2Ipa, TlbiS12Vmall};
    match command {
        TlbiS2Ipa(..) | TlbiS12Vmall(_) if on(Fault::SmmuNoTlbi) => None,
        TlbiNhAll(_) if on(Fault::EmulMissingNhAll) => None,
        Sync if on(Fault::SmmuSyncSkipped) => None,
        TlbiS2Ipa(_, ipa) if on(Fault::SmmuTlbiWrongVmid) => Some(TlbiS2Ipa(Vmid(1), ipa)),
        TlbiS12Vmall(_) if on(Fault::SmmuTlbiWrongVmid) => Some(TlbiS12Vmall(Vmid(1))),
        TlbiNhAll(_) if on(Fault::SmmuTlbiWrongVmid) => Some(TlbiNhAll(Vmid(1))),
        TlbiS2Ipa(vmid, ipa) if on(Fault::SmmuTlbiWrongIpa) => Some(TlbiS2Ipa(vmid, ipa.add(PAGE_SIZE))),
        _ => Some(command),
    }
}
