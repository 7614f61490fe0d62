//! Letting it run, and stopping it: after a time, when woken, at an instruction.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use parallax_addr::ImageVa;

use super::Linux;
use crate::backend::hyp::SIGTRAP;
use crate::error::MachineError;
use crate::extensions::Pause;
use crate::rsp::{RspError, StopReply};

/// Limit of executing the one instruction that a CPU stands at.
const ONE_STEP: Duration = Duration::from_secs(30);

/// Stops a running machine from another thread.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// [`Linux::run_for`] returns soon, or the next one does.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

impl Linux {
    /// Lets it run for `limit` of wall time, until it switches itself off, is woken, or comes to one of its stops.
    ///
    /// # Errors
    /// The hypervisor panicked, the machine stopped where it must not, QEMU died, or the run was cancelled.
    pub fn run_for(&mut self, limit: Duration) -> Result<Pause, MachineError> {
        self.step_off()?;
        let (client, runtime) = (&mut self.client, &self.runtime);
        let (wake, signal) = (&self.wake.0, &mut self.signal);
        let mut woken = false;
        let stop = runtime.block_on(async {
            let stop = tokio::select! {
                // First, so that the request is on its way before anything else is looked at.
                biased;
                stop = client.resume(&[], "vCont;c", limit) => stop,
                () = wake.notified() => { woken = true; Err(RspError::Timeout(String::new())) }
                _ = signal.recv() => { woken = true; Err(RspError::Timeout(String::new())) }
            };
            match stop {
                Err(RspError::Timeout(_)) => client.interrupt().await,
                other => other,
            }
        });
        match stop {
            Ok(StopReply::Stopped { signal: SIGTRAP, thread }) => self.arrived(thread),
            Ok(StopReply::Stopped { .. }) => Ok(if woken { Pause::Woken } else { Pause::Running }),
            Ok(StopReply::Exited { .. }) | Err(RspError::Closed | RspError::Io(_)) => self.ended(),
            Err(RspError::Cancelled) => Err(MachineError::Cancelled),
            Err(error) => Err(error.into()),
        }
    }

    /// Stops whenever a CPU is about to execute the instruction at `address`, at whatever exception level.
    ///
    /// # Errors
    /// The connection failed.
    pub fn stop_at(&mut self, address: ImageVa) -> Result<(), MachineError> {
        if self.stops.insert(address) {
            self.runtime.block_on(self.client.command(&format!("Z1,{address:x},4")))?;
        }
        Ok(())
    }

    /// A CPU that stands at a stop executes its instruction: QEMU would stop there again.
    fn step_off(&mut self) -> Result<(), MachineError> {
        let Some((thread, address)) = self.standing.take() else { return Ok(()) };
        let (client, runtime) = (&mut self.client, &self.runtime);
        runtime.block_on(async {
            let off = [format!("z1,{address:x},4")];
            client.resume(&off, &format!("vCont;s:{thread}"), ONE_STEP).await?;
            client.command(&format!("Z1,{address:x},4")).await
        })?;
        Ok(())
    }

    /// `thread` stopped at a breakpoint: one of those that were asked for?
    fn arrived(&mut self, thread: Option<String>) -> Result<Pause, MachineError> {
        let position = self.positions()?.into_iter().find(|cpu| Some(&cpu.thread) == thread.as_ref());
        match position {
            Some(cpu) if self.stops.contains(&ImageVa::new(cpu.pc)) => {
                let at = ImageVa::new(cpu.pc);
                self.standing = Some((cpu.thread, at));
                Ok(Pause::At(at))
            }
            _ => Err(self.trapped()),
        }
    }
}
