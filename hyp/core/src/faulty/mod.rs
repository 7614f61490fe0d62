//! Switchable faults that stand at a seam: what passes there is replaced by something wrong while the fault is on.
//!
//! | module | seam |
//! | --- | --- |
//! | `tlb` | the CPUs' TLB maintenance: [`Invalidate`](crate::pgtable::Invalidate) |
//! | `command` | a command on its way into the SMMU's queue |
//! | `steps` | the steps in which a stream table entry is replaced |
//! | `idmap` | the hook through which the SMMU follows the host |
//!
//! A normal build has `absent` in their place, which lets everything pass. What no seam can express is asked for where it
//! happens, by [`crate::fault::on`].

#[cfg(not(feature = "faults"))]
mod absent;
#[cfg(feature = "faults")]
mod command;
#[cfg(feature = "faults")]
mod idmap;
#[cfg(feature = "faults")]
mod steps;
#[cfg(feature = "faults")]
mod tlb;

#[cfg(not(feature = "faults"))]
pub(crate) use absent::{El2Tlb, HostTlb, command, host_changed, steps};
#[cfg(feature = "faults")]
pub(crate) use {
    command::command,
    idmap::host_changed,
    steps::steps,
    tlb::{El2Tlb, HostTlb},
};
