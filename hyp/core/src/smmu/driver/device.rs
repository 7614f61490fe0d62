//! One SMMU in use: on or turned off for good, its streams' entries, its events, its commands.

use super::{
    closed::HostView,
    cmdq::{Command, CommandQueue},
    error::SmmuError,
    evtq::EventQueue,
    hardware::Hardware,
    probe::Features,
    regs::{CR0, Cr0},
    stage2::Stage2,
    ste::Ste,
    strtab::StreamTable,
};
use crate::{
    faulty,
    hw::{Cpu, Memory, Mmio},
    smmu::StreamId,
};

/// How far an [`Smmu`] is. Enabled can only be followed by Failed, and Failed by nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
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
    pub(in crate::smmu) hw: Hardware<R, M, C>,
    pub(in crate::smmu) features: Features,
    pub(in crate::smmu) strtab: StreamTable,
    pub(in crate::smmu) cmdq: CommandQueue,
    pub(super) evtq: EventQueue,
    pub(super) state: State,
    pub(in crate::smmu) stage2: Stage2,
    pub(super) view: HostView,
    /// Streams whose entry is nested.
    pub(super) nested: u64,
    /// A stream was nested since the last TLBI_NH_ALL: combined TLB entries may exist, also when none is nested any
    /// more, and a stream that becomes nested again would hit them.
    pub(super) combined: bool,
    /// A stage-2 entry was invalidated since the last CMD_SYNC.
    pub(super) stage2_changed: bool,
}

impl<R: Mmio, M: Memory, C: Cpu> Smmu<R, M, C> {
    /// Turns translation on, with nothing left in any cache.
    ///
    /// # Errors
    /// The SMMU refuses a command or does not answer; it is turned off for good.
    pub fn enable(&mut self) -> Result<(), SmmuError> {
        self.start().inspect_err(|&error| self.fail(error))
    }

    fn start(&mut self) -> Result<(), SmmuError> {
        let hw = &self.hw;
        let mut on = Cr0::CMDQEN;
        on.set(Cr0::ATSCHK, self.features.ats);
        hw.write_cr0(on)?;
        self.cmdq.push(hw, Command::CfgiAll)?;
        if self.features.hyp {
            self.cmdq.push(hw, Command::TlbiEl2All)?;
        }
        self.cmdq.push(hw, Command::TlbiNsnhAll)?;
        self.cmdq.sync(hw)?;
        on.set(Cr0::EVENTQEN, self.view == HostView::Hidden);
        hw.write_cr0(on)?;
        hw.write_cr0(faulty::cr0_opened(on | Cr0::SMMUEN))?;
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
                let is_forgotten = faulty::forget_early(self, stream, &step);
                step.write_over(&now, &self.hw.mem, entry);
                if !is_forgotten {
                    self.forget_ste(stream);
                }
                now = step;
            }
        }
        self.nested = self.nested + u64::from(ste.is_nested()) - u64::from(was_nested);
        self.combined = faulty::may_be_combined(self.combined || self.nested != 0, self.nested);
        self.failure().map_or(Ok(()), Err)
    }

    /// Has the SMMU read a stream's entry anew.
    pub(crate) fn forget_ste(&mut self, stream: StreamId) {
        self.command(Command::CfgiSte(stream));
        faulty::sync_step(self);
    }

    /// Why the SMMU was turned off for good, if it was.
    #[must_use]
    pub const fn failure(&self) -> Option<SmmuError> {
        if let State::Failed(error) = self.state { Some(error) } else { None }
    }

    /// Gives a command to an SMMU that is enabled.
    pub(crate) fn command(&mut self, command: Command) {
        if self.state == State::Enabled
            && let Err(error) = self.cmdq.push(&self.hw, command)
        {
            self.fail(error);
        }
    }

    /// CMD_SYNC, and the wait for it.
    pub(super) fn wait(&mut self) {
        if self.state == State::Enabled
            && let Err(error) = self.cmdq.sync(&self.hw)
        {
            faulty::fail(self, error);
        }
    }

    /// Turns translation off for good; GBPA has all traffic aborted from here on.
    ///
    /// Panics if it cannot be turned off: devices would go on with what was taken from them.
    pub(crate) fn fail(&mut self, error: SmmuError) {
        self.state = State::Failed(error);
        self.hw.cpu.tell(&format_args!("{error}; it is turned off, no device reaches memory any more"));
        let kept = Cr0::from_bits_truncate(self.hw.regs.read32(CR0)) & (Cr0::EVENTQEN | Cr0::ATSCHK);
        self.hw.write_cr0(kept).unwrap_or_else(|error| panic!("{error}; it cannot be turned off"));
    }
}
