//! From a hypercall's registers to an operation and back.

use crate::error::Error;
use crate::hw::{Cpu, Memory, Mmio};
use crate::ownership::Hyp;
use crate::smmu::{Smmu, SmmuTlb};
use parallax_abi::errno;
use parallax_abi::operation::Hypercall as Call;
use spin::RelaxStrategy;

/// A record of the SMMU's event queue: dwords 0 and 2 (IHI 0070, 7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventWords {
    /// Event number in bits 7:0, StreamID in 63:32.
    pub dword0: u64,
    /// The input address.
    pub dword2: u64,
}

/// Where hypercalls get the SMMU's events from.
pub trait EventSource {
    /// Takes the oldest record off the event queue.
    fn take_event(&mut self) -> Option<EventWords>;
}

impl<R: Mmio, M: Memory, C: Cpu> EventSource for Smmu<R, M, C> {
    fn take_event(&mut self) -> Option<EventWords> {
        self.read_event().map(|event| EventWords { dword0: event.0[0], dword2: event.0[2] })
    }
}

/// Performs the hypercall `function` (x0) with the arguments `args` (x1 to x6). Returns x0 to x3: the SMCCC status,
/// the result (0 or a negative error code of [`errno`]) and two more results.
#[inline]
pub fn dispatch<H, S, R>(hyp: &Hyp<H, S, R>, function: u64, args: [u64; 6]) -> [u64; 4]
where
    H: Memory + Cpu,
    S: SmmuTlb + EventSource,
    R: RelaxStrategy,
{
    let Some(call) = Call::decode(function, args) else {
        return [errno::SMCCC_NOT_SUPPORTED as u64, 0, 0, 0];
    };
    let result = match call {
        Call::HostShareHyp { pfn } => hyp.host_share_hyp(pfn),
        Call::HostUnshareHyp { pfn } => hyp.host_unshare_hyp(pfn),
        Call::HypPinSharedMem { pfn, nr } => hyp.hyp_pin_shared_mem(pfn, nr),
        Call::HypUnpinSharedMem { pfn, nr } => hyp.hyp_unpin_shared_mem(pfn, nr),
        Call::HostDonateHyp { pfn, nr } => hyp.host_donate_hyp(pfn, nr),
        Call::HypDonateHost { pfn, nr } => hyp.hyp_donate_host(pfn, nr),
        Call::HostDonateHypMmio { pfn, nr } => hyp.host_donate_hyp_mmio(pfn, nr),
        Call::HypDonateHostMmio { pfn, nr } => hyp.hyp_donate_host_mmio(pfn, nr),
        Call::SmmuReadEvent {} if hyp.has_viommu() => Err(Error::Perm),
        Call::SmmuReadEvent {} => match hyp.with_smmu(EventSource::take_event) {
            Some(Some(event)) => return [errno::SMCCC_SUCCESS as u64, 0, event.dword0, event.dword2],
            Some(None) => Err(Error::NoEnt),
            None => Err(Error::NoDev),
        },
    };
    let result = result.map_or_else(Error::errno, |()| 0);
    [errno::SMCCC_SUCCESS as u64, result as u64, 0, 0]
}
