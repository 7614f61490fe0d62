//! One SMMU, from taking it over to using it.

use super::{
    Buffer, SmmuTlb, StreamId, Vmid,
    cmdq::{self, Command, CommandQueue},
    error::SmmuError,
    evtq::{self, Event, EventQueue},
    hardware::Hardware,
    probe::Features,
    regs::{
        CR0, CR1, CR1_WB_ISH, CR2, Cr0, Cr2, EVENTQ_IRQ_CFG0, GERROR, GERROR_IRQ_CFG0, GERRORN, Gerror,
        IRQ_CTRL, IRQ_CTRLACK, PRIQ_IRQ_CFG0,
    },
    ste::{Stage2, Ste},
    strtab::{Shape, StreamTable},
};
use crate::{
    addr::{Ipa, PAGE_SIZE, PhysAddr},
    fault::{self, Fault},
    hw::{Cpu, Memory, Mmio},
};

/// log2 of the command queue's entries: one page.
const CMDQ_LOG2: u32 = 8;
/// log2 of the event queue's entries: enough for a transfer of 4 KiB whose every word is refused.
const EVTQ_LOG2: u32 = 11;
/// Up to this many pages are invalidated one by one, more of them together with everything else.
const TLBI_PAGES: u64 = 16;

/// An SMMU through which no device reaches anything: translation is off, all traffic is aborted.
#[derive(Debug)]
pub struct Closed<R, M, C> {
    hw: Hardware<R, M, C>,
    features: Features,
}

/// The memory that an SMMU with these features needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    shape: Shape,
    cmdq_log2: u32,
    evtq_log2: u32,
}

impl Layout {
    /// For the streams 0 to 2^`sid_bits` - 1.
    ///
    /// # Errors
    /// The SMMU has fewer StreamID bits.
    pub fn new(features: &Features, sid_bits: u32) -> Result<Self, SmmuError> {
        Ok(Self {
            shape: Shape::new(features, sid_bits)?,
            cmdq_log2: features.cmdq_log2.min(CMDQ_LOG2),
            evtq_log2: features.evtq_log2.min(EVTQ_LOG2),
        })
    }

    /// The stream table's memory.
    #[must_use]
    pub fn strtab(&self) -> Buffer {
        self.shape.buffer()
    }
    /// The command queue's memory.
    #[must_use]
    pub const fn cmdq(&self) -> Buffer {
        queue_buffer(cmdq::ENTRY_SIZE, self.cmdq_log2)
    }
    /// The event queue's memory.
    #[must_use]
    pub const fn evtq(&self) -> Buffer {
        queue_buffer(evtq::ENTRY_SIZE, self.evtq_log2)
    }
}

/// A queue is aligned to its own size.
const fn queue_buffer(entry: u64, log2: u32) -> Buffer {
    let bytes = if entry << log2 > PAGE_SIZE { entry << log2 } else { PAGE_SIZE };
    Buffer { pages: bytes / PAGE_SIZE, align: bytes }
}

/// Where the memory that [`Layout`] asks for was found. The hypervisor owns it from now on.
#[derive(Clone, Copy, Debug)]
pub struct Buffers {
    /// The stream table.
    pub strtab: PhysAddr,
    /// The command queue.
    pub cmdq: PhysAddr,
    /// The event queue.
    pub evtq: PhysAddr,
}

/// What the host sees of the SMMU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostView {
    /// Nothing: every stream goes through stage 2 and no more, and events are the hypervisor's.
    #[default]
    Hidden,
    /// An SMMU of its own ([`super::emul`]): every stream is aborted until the host says otherwise, and events are
    /// the host's.
    Emulated,
}

/// How far an [`Smmu`] is. Enabled can only be followed by Failed, and Failed by nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Translation is off and no command is needed: [`Smmu::enable`] invalidates everything.
    Disabled,
    /// Devices go through the tables.
    Enabled,
    /// Translation is off for good.
    Failed(SmmuError),
}

/// An SMMU under the hypervisor's control.
#[derive(Debug)]
pub struct Smmu<R, M, C> {
    pub(super) hw: Hardware<R, M, C>,
    pub(super) features: Features,
    pub(super) strtab: StreamTable,
    cmdq: CommandQueue,
    evtq: EventQueue,
    state: State,
    pub(super) stage2: Stage2,
    view: HostView,
    /// Streams whose entry is nested.
    nested: u64,
    /// A stream was nested since the last TLBI_NH_ALL: combined TLB entries may exist, also when none is nested any
    /// more, and a stream that becomes nested again would hit them.
    combined: bool,
    /// A stage-2 entry was invalidated since the last CMD_SYNC.
    stage2_changed: bool,
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
        hw.regs.write32(CR1, CR1_WB_ISH);
        hw.regs.write32(CR2, (Cr2::RECINVSID | Cr2::PTM).bits());
        hw.write_ack("IRQ_CTRLACK", IRQ_CTRL, IRQ_CTRLACK, 0)?;
        // Nobody's MSIs: they are unknown after reset, and an SMMU writes them past all translation.
        for address in [GERROR_IRQ_CFG0, EVENTQ_IRQ_CFG0, PRIQ_IRQ_CFG0] {
            hw.regs.write64(address, 0);
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

impl<R: Mmio, M: Memory, C: Cpu> Smmu<R, M, C> {
    /// Takes over an SMMU in any state: has all traffic aborted, turns it off, reads its features.
    ///
    /// # Errors
    /// The SMMU does not answer, or lacks what the hypervisor needs. In the second case all traffic stays aborted.
    pub fn take(regs: R, mem: M, cpu: C) -> Result<Closed<R, M, C>, SmmuError> {
        let hw = Hardware { regs, mem, cpu };
        if !fault::on(Fault::SmmuLeftDisabled) {
            hw.abort_bypass()?;
        }
        hw.write_cr0(Cr0::empty())?;
        let features = Features::read(&hw.regs)?;
        Ok(Closed { hw, features })
    }

    /// Turns translation on, with nothing left in any cache.
    ///
    /// # Errors
    /// The SMMU refuses a command or does not answer; it is turned off for good.
    pub fn enable(&mut self) -> Result<(), SmmuError> {
        self.start().inspect_err(|&error| self.fail(error))
    }

    fn start(&mut self) -> Result<(), SmmuError> {
        let hw = &self.hw;
        hw.write_cr0(Cr0::CMDQEN)?;
        self.cmdq.push(hw, Command::CfgiAll)?;
        if self.features.hyp {
            self.cmdq.push(hw, Command::TlbiEl2All)?;
        }
        self.cmdq.push(hw, Command::TlbiNsnhAll)?;
        self.cmdq.sync(hw)?;
        let queues = match self.view {
            HostView::Hidden => Cr0::CMDQEN | Cr0::EVENTQEN,
            HostView::Emulated => Cr0::CMDQEN,
        };
        hw.write_cr0(queues)?;
        if !fault::on(Fault::SmmuLeftDisabled) {
            hw.write_cr0(queues | Cr0::SMMUEN)?;
        }
        self.state = State::Enabled;
        Ok(())
    }

    /// Replaces the entry of one stream in the steps of [`Ste::steps_to`]. Between them its traffic meets the old entry
    /// or the new one, or is aborted.
    ///
    /// # Errors
    /// The stream lies outside of the table; or the SMMU failed, and is turned off for good.
    pub fn replace_ste(&mut self, stream: StreamId, ste: &Ste) -> Result<(), SmmuError> {
        let entry = self.strtab.ste(stream).ok_or(SmmuError::NoSuchStream(stream))?;
        let mut now = Ste::read(&self.hw.mem, entry);
        let was_nested = now.is_nested();
        for step in now.steps_to(ste) {
            if step != now {
                let too_early = fault::on(Fault::SteCfgiBeforeClear) && step == step.without_head();
                if too_early {
                    self.forget_ste(stream);
                }
                step.write_over(&now, &self.hw.mem, entry);
                if !too_early {
                    self.forget_ste(stream);
                }
                now = step;
            }
        }
        self.nested = self.nested + u64::from(ste.is_nested()) - u64::from(was_nested);
        self.combined |= self.nested != 0;
        if self.nested == 0 && fault::on(Fault::EmulCombinedSurvive) {
            self.combined = false;
        }
        self.failure().map_or(Ok(()), Err)
    }

    /// Has the SMMU read a stream's entry anew.
    fn forget_ste(&mut self, stream: StreamId) {
        self.command(Command::CfgiSte(stream));
        if !fault::on(Fault::SteStepsNotSynced) {
            self.sync();
        }
    }

    /// Takes the oldest event off the event queue.
    pub fn read_event(&mut self) -> Option<Event> {
        let acknowledged = self.hw.regs.read32(GERRORN);
        let active = Gerror::from_bits_retain(self.hw.regs.read32(GERROR) ^ acknowledged);
        if active.contains(Gerror::EVENTQ_ABT_ERR) {
            self.evtq.note_lost();
            self.hw.regs.write32(GERRORN, acknowledged ^ Gerror::EVENTQ_ABT_ERR.bits());
        }
        self.evtq.pop(&self.hw)
    }

    /// Whether events were lost, as far as [`Smmu::read_event`] has seen, since this was last asked.
    pub fn take_events_lost(&mut self) -> bool {
        self.evtq.take_lost()
    }

    /// Why the SMMU was turned off for good, if it was.
    #[must_use]
    pub const fn failure(&self) -> Option<SmmuError> {
        if let State::Failed(error) = self.state { Some(error) } else { None }
    }

    /// Gives a command to an SMMU that is enabled.
    pub(super) fn command(&mut self, command: Command) {
        if self.state == State::Enabled
            && let Err(error) = self.cmdq.push(&self.hw, command)
        {
            self.fail(error);
        }
    }

    /// CMD_SYNC, and the wait for it.
    fn wait(&mut self) {
        if self.state == State::Enabled
            && let Err(error) = self.cmdq.sync(&self.hw)
        {
            self.fail(error);
        }
    }

    /// Turns translation off for good; GBPA has all traffic aborted from here on.
    pub(super) fn fail(&mut self, error: SmmuError) {
        self.state = State::Failed(error);
        // There is nothing left to try if even this times out.
        let events = Cr0::from_bits_truncate(self.hw.regs.read32(CR0)) & Cr0::EVENTQEN;
        let _ = self.hw.write_cr0(events);
    }
}

/// The VMID that TLBI commands name.
fn vmid() -> Vmid {
    if fault::on(Fault::SmmuTlbiWrongVmid) { Vmid(1) } else { Vmid::HOST }
}

impl<R: Mmio, M: Memory, C: Cpu> SmmuTlb for Smmu<R, M, C> {
    fn tlbi_s2_ipa(&mut self, ipa: Ipa, size: u64) {
        if size > TLBI_PAGES * PAGE_SIZE && !fault::on(Fault::SmmuQueueOverrun) {
            self.tlbi_s12_vmall();
            return;
        }
        if fault::on(Fault::SmmuNoTlbi) {
            return;
        }
        self.stage2_changed = true;
        let shift = if fault::on(Fault::SmmuTlbiWrongIpa) { PAGE_SIZE } else { 0 };
        for offset in (0..size).step_by(PAGE_SIZE as usize) {
            self.command(Command::TlbiS2Ipa(vmid(), ipa.add(offset + shift)));
        }
    }

    fn tlbi_s12_vmall(&mut self) {
        if !fault::on(Fault::SmmuNoTlbi) {
            self.command(Command::TlbiS12Vmall(vmid()));
        }
    }

    fn sync(&mut self) {
        // Combined entries of a nested stream are not reached by IPA: they follow once stage 2's are gone.
        let combined = core::mem::take(&mut self.stage2_changed) && self.combined;
        let early = combined && fault::on(Fault::SmmuCombinedFirst);
        if early {
            self.command(Command::TlbiNhAll(vmid()));
        }
        self.wait();
        if combined && !early && !fault::on(Fault::EmulMissingNhAll) {
            self.command(Command::TlbiNhAll(vmid()));
            self.wait();
            self.combined = self.nested != 0;
        }
    }
}
