//! What the host's SMMU needs of the hypervisor: its lock comes before the host's, and the others are taken inside.

use super::Hyp;
use crate::access::Outcome;
use crate::addr::PhysAddr;
use crate::faulty;
use crate::hw::{Cpu, Memory};
use crate::smmu::SmmuTlb;
use crate::smmu::viommu::{Env, Physical};
use core::ops::DerefMut;
use spin::RelaxStrategy;

impl<H: Memory + Cpu, S: SmmuTlb + Physical, R: RelaxStrategy> Hyp<H, S, R> {
    /// The host accesses the SMMU's registers: `width` bytes at `address`, written if `write` is the value. Returns
    /// what came of it; `None` when that is not a register frame that the host may believe in.
    pub fn smmu_access(&self, address: PhysAddr, width: u64, write: Option<u64>) -> Option<Outcome> {
        let frame = self.viommu_frame?;
        let offset = address.0.checked_sub(frame.base.0).filter(|&offset| offset < frame.size)?;
        Some(self.viommu.lock().access(&mut faulty::env(self), offset, width, write))
    }
}

impl<H: Memory + Cpu, S: SmmuTlb + Physical, R: RelaxStrategy> Env for &Hyp<H, S, R> {
    type Smmu = S;

    fn smmu(&self) -> impl DerefMut<Target = S> {
        self.driver()
    }
}
