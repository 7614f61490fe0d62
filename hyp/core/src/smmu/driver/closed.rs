//! From an SMMU in any state to one that is set up: first nothing gets through it any more, then it is probed, then it
//! gets tables and queues.

use super::{
    cmdq::CommandQueue,
    device::{Smmu, State},
    error::SmmuError,
    evtq::EventQueue,
    hardware::Hardware,
    layout::{Buffers, Layout},
    probe::Features,
    regs::{
        CR1, CR1_WB_ISH, CR2, Cr0, Cr2, EVENTQ_IRQ_CFG0, GERROR, GERROR_IRQ_CFG0, GERRORN, IRQ_CTRL,
        IRQ_CTRLACK, PRIQ_IRQ_CFG0,
    },
    stage2::Stage2,
    ste::Ste,
    strtab::StreamTable,
};
use crate::hw::{Cpu, Memory, Mmio};

/// An SMMU through which no device reaches anything: translation is off, all traffic is aborted.
#[derive(Debug)]
pub struct Closed<R, M, C> {
    hw: Hardware<R, M, C>,
    features: Features,
}

/// What the host sees of the SMMU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostView {
    /// Nothing: every stream goes through stage 2 and no more, and events are the hypervisor's.
    #[default]
    Hidden,
    /// An SMMU of its own ([`crate::smmu::viommu`]): every stream is aborted until the host says otherwise, and events are
    /// the host's.
    Emulated,
}

impl<R: Mmio, M: Memory, C: Cpu> Smmu<R, M, C> {
    /// Has all traffic aborted by an SMMU in any state, turns it off, reads its features.
    ///
    /// # Errors
    /// The SMMU does not answer, or lacks what the hypervisor needs. In the second case all traffic stays aborted.
    pub fn probe(regs: R, mem: M, cpu: C) -> Result<Closed<R, M, C>, SmmuError> {
        let hw = Hardware { regs, mem, cpu };
        hw.abort_bypass()?;
        hw.write_cr0(Cr0::empty())?;
        let features = Features::read(&hw.regs)?;
        Ok(Closed { hw, features })
    }
}

impl<R: Mmio, M: Memory, C: Cpu> Closed<R, M, C> {
    /// What the SMMU can do.
    #[must_use]
    pub const fn features(&self) -> &Features {
        &self.features
    }

    /// Writes the stream table, with every stream confined to `stage2` or, if the host has an SMMU of its own,
    /// aborted, and sets up the queues. Nothing is turned on.
    ///
    /// # Errors
    /// A buffer is not aligned as `layout` says, or the SMMU does not answer. It stays closed.
    pub fn init(
        self,
        layout: &Layout,
        buffers: &Buffers,
        stage2: &Stage2,
        view: HostView,
    ) -> Result<Smmu<R, M, C>, SmmuError> {
        let Self { hw, features } = self;
        hw.regs.write32(CR1, crate::faulty::cr1(CR1_WB_ISH));
        hw.regs.write32(CR2, (Cr2::RECINVSID | Cr2::PTM).bits());
        hw.write_ack("IRQ_CTRLACK", IRQ_CTRL, IRQ_CTRLACK, 0)?;
        // Nobody's MSIs: they are unknown after reset, and an SMMU writes them past all translation.
        for address in [GERROR_IRQ_CFG0, EVENTQ_IRQ_CFG0, PRIQ_IRQ_CFG0] {
            crate::faulty::clear_msi(&hw.regs, address);
        }
        let ste = match view {
            HostView::Hidden => Ste::stage2_only(stage2),
            HostView::Emulated => Ste::abort(),
        };
        let strtab = StreamTable::new(&hw.regs, &hw.mem, layout.shape, buffers.strtab, &ste)?;
        let cmdq = CommandQueue::new(&hw.regs, buffers.cmdq, layout.cmdq_log2)?;
        let evtq = EventQueue::new(&hw.regs, buffers.evtq, layout.evtq_log2)?;
        // Errors of whoever used the SMMU before.
        hw.regs.write32(GERRORN, hw.regs.read32(GERROR));
        Ok(Smmu {
            hw,
            features,
            strtab,
            cmdq,
            evtq,
            state: State::Disabled,
            stage2: *stage2,
            view,
            nested: 0,
            combined: false,
            stage2_changed: false,
        })
    }
}
