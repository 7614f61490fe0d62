//! From a hypercall's registers to an operation and back.

use crate::error::Error;
use crate::hw::{Cpu, Memory};
use crate::ownership::Hyp;
use crate::smmu::SmmuTlb;
use parallax_abi::errno;
use parallax_abi::operation::Hypercall as Call;
use spin::RelaxStrategy;

/// x0 to x3 after a function that nobody knows.
pub const UNKNOWN: [u64; 4] = [errno::SMCCC_NOT_SUPPORTED as u64, 0, 0, 0];

/// Performs `call`. Returns x0 to x3: the SMCCC status, the result (0 or a negative error code of [`errno`]) and two
/// more results.
pub fn dispatch<H, S, R>(hyp: &Hyp<H, S, R>, call: Call) -> [u64; 4]
where
    H: Memory + Cpu,
    S: SmmuTlb,
    R: RelaxStrategy,
{
    let result = match call {
        Call::HostShareHyp { pfn } => hyp.host_share_hyp(pfn),
        Call::HostUnshareHyp { pfn } => hyp.host_unshare_hyp(pfn),
        Call::HypPinSharedMem { pfn, nr } => hyp.hyp_pin_shared_mem(pfn, nr),
        Call::HypUnpinSharedMem { pfn, nr } => hyp.hyp_unpin_shared_mem(pfn, nr),
        Call::HostDonateHyp { pfn, nr } => hyp.host_donate_hyp(pfn, nr),
        Call::HypDonateHost { pfn, nr } => hyp.hyp_donate_host(pfn, nr),
        Call::HostDonateHypMmio { pfn, nr } => hyp.host_donate_hyp_mmio(pfn, nr),
        Call::HypDonateHostMmio { pfn, nr } => hyp.hyp_donate_host_mmio(pfn, nr),
        Call::SmmuReadEvent {} if hyp.viommu_frame.is_some() => Err(Error::Perm),
        Call::SmmuReadEvent {} => match hyp.with_smmu(SmmuTlb::take_event) {
            Some(Some([head, _, input, _])) => return [errno::SMCCC_SUCCESS as u64, 0, head, input],
            Some(None) => Err(Error::NoEnt),
            None => Err(Error::NoDev),
        },
    };
    let result = result.map_or_else(Error::errno, |()| 0);
    [errno::SMCCC_SUCCESS as u64, result as u64, 0, 0]
}
