//! The plugin that watches this EL2, from its first instruction on.
//!
//! Where EL2 is in its virtual addresses is drawn anew in every boot, and its symbols are known when a boot is over. So a kernel is
//! booted twice: the first boot says where the kernel has things, and the second one is stopped where the kernel has drawn EL2's addresses
//! and nothing runs there yet.

use std::time::Duration;

use parallax_abi::journal::Record;
use parallax_addr::{PhysAddr, Span};
use parallax_vmsa::PhysMem;
use parallax_vmsa::mem::read_u64;

use super::Live;
use super::kernel::Kernel;
use crate::error::MachineError;
use crate::extensions::Journal;
use crate::rsp::{Client, StopReply};

/// EL2's vectors for exceptions from the host.
const VECTORS: &str = "__kvm_hyp_host_vector";
/// The kernel's function that sets EL2 up.
const BEFORE: &str = "kvm_arm_init";

/// Where the kernel has what the plugin must know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// Virtual address of [`BEFORE`].
    before: u64,
    /// `hyp_physvirt_offset`: what a physical address has more than its address at EL2.
    offset: PhysAddr,
    /// EL2's code.
    image: Span<PhysAddr>,
    /// EL2's vectors.
    vectors: PhysAddr,
}

impl Places {
    /// Those of `kernel`, whose EL2 has its code at `image`.
    pub(super) fn of(kernel: &Kernel, image: Span<PhysAddr>) -> Result<Self, MachineError> {
        Ok(Self {
            before: kernel.symbol(BEFORE)?,
            offset: kernel.el2_place("hyp_physvirt_offset")?,
            image,
            vectors: kernel.el2_place(VECTORS)?,
        })
    }

    /// Lets the machine go to where EL2's addresses are known, and tells the plugin of `journal` what they are.
    pub(super) async fn tell(
        &self,
        client: &mut Client,
        memory: &dyn PhysMem,
        journal: &crate::journal::Journal,
        limit: Duration,
    ) -> Result<(), MachineError> {
        client.command(&format!("Z1,{:x},4", self.before)).await?;
        let stop = client.resume(&[], "vCont;c", limit).await?;
        if !matches!(stop, StopReply::Stopped { .. }) {
            return Err(MachineError::SwitchedOff);
        }
        client.command(&format!("z1,{:x},4", self.before)).await?;
        let linear = read_u64(memory, self.offset)?.wrapping_neg();
        let at_el2 = |place: PhysAddr| place.get().wrapping_add(linear);
        let (first, end) = (at_el2(self.image.base), at_el2(self.image.end()));
        journal.watch(first..end, self.image.base.get(), at_el2(self.vectors));
        journal.enable(true);
        Ok(())
    }
}

impl Journal for Live {
    fn events(&mut self) -> Result<Vec<Record>, MachineError> {
        Ok(self.watched.events()?)
    }

    fn bbm_level(&mut self) -> Result<u8, MachineError> {
        Ok(self.runtime.block_on(self.registers.bbm_level(&mut self.client))?)
    }
}
