//! Forward and back.

use gdbstub::common::{Signal, Tid};
use gdbstub::target::Target;
use gdbstub::target::ext::base::multithread::{
    MultiThreadResume, MultiThreadSchedulerLocking, MultiThreadSchedulerLockingOps, MultiThreadSingleStep,
    MultiThreadSingleStepOps,
};
use gdbstub::target::ext::base::reverse_exec::{ReverseCont, ReverseContOps, ReverseStep, ReverseStepOps};

use crate::debuggee::{Lost, Motion, Stop};
use crate::target::{Front, cpu};

impl Front<'_> {
    /// Goes on; a step that is to stay where it is has been made at once.
    fn go(&mut self, motion: Motion) -> Result<(), Lost> {
        self.moved = false;
        let stay = std::mem::take(&mut self.stay);
        match motion {
            Motion::Step { cpu, .. } | Motion::ReverseStep { cpu } if stay => {
                self.pending = Some(Stop::Done(cpu));
                Ok(())
            }
            motion => self.debuggee.resume(motion),
        }
    }

    /// Waits for a stop, some milliseconds at most.
    pub(crate) fn poll(&mut self) -> Result<Option<Stop>, Lost> {
        match self.pending.take() {
            Some(stop) => Ok(Some(stop)),
            None => self.debuggee.poll(),
        }
    }
}

impl MultiThreadResume for Front<'_> {
    fn resume(&mut self) -> Result<(), Lost> {
        self.go(self.motion)
    }

    fn clear_resume_actions(&mut self) -> Result<(), Lost> {
        self.motion = Motion::Continue;
        Ok(())
    }

    fn set_resume_action_continue(&mut self, _tid: Tid, _signal: Option<Signal>) -> Result<(), Lost> {
        Ok(())
    }

    fn support_single_step(&mut self) -> Option<MultiThreadSingleStepOps<'_, Self>> {
        Some(self)
    }

    fn support_reverse_step(&mut self) -> Option<ReverseStepOps<'_, Tid, Self>> {
        if self.debuggee.reverses() { Some(self) } else { None }
    }

    fn support_reverse_cont(&mut self) -> Option<ReverseContOps<'_, Tid, Self>> {
        if self.debuggee.reverses() { Some(self) } else { None }
    }

    fn support_scheduler_locking(&mut self) -> Option<MultiThreadSchedulerLockingOps<'_, Self>> {
        Some(self)
    }
}

impl MultiThreadSingleStep for Front<'_> {
    fn set_resume_action_step(&mut self, tid: Tid, _signal: Option<Signal>) -> Result<(), Lost> {
        self.motion = Motion::Step { cpu: cpu(tid), alone: false };
        Ok(())
    }
}

impl MultiThreadSchedulerLocking for Front<'_> {
    fn set_resume_action_scheduler_lock(&mut self) -> Result<(), Lost> {
        if let Motion::Step { alone, .. } = &mut self.motion {
            *alone = true;
        }
        Ok(())
    }
}

impl ReverseCont<Tid> for Front<'_> {
    fn reverse_cont(&mut self) -> Result<(), <Self as Target>::Error> {
        self.go(Motion::ReverseContinue)
    }
}

impl ReverseStep<Tid> for Front<'_> {
    fn reverse_step(&mut self, tid: Tid) -> Result<(), <Self as Target>::Error> {
        self.go(Motion::ReverseStep { cpu: cpu(tid) })
    }
}
