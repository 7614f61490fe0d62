//! Operations that are looked at while the machine goes on with the next ones.
//!
//! [`Stream::launch`] has a batch performed and does not wait for its end. What the plugin has recorded until now
//! ([`Journal`](crate::Journal)) and the answers to marked operations ([`Stream::answer`]) can be had
//! at any time; [`Stream::ended`] says when the machine stands still again. Memory cannot: whoever reads it in between
//! waits until all operations are done, so that what is read never hangs on who was faster.

use std::time::{Duration, Instant};

use parallax_abi::mailbox::SLOTS;
use parallax_addr::PhysAddr;
use parallax_ops::{Answer, Batch, Operation};
use parallax_vmsa::{MemError, PhysMem};

use super::{Live, little_endian_hex};
use crate::error::MachineError;
use crate::extensions::Stream;
use crate::rsp::{RspError, StopReply};

/// What is waited for, in errors.
const WAITING_FOR: &str = "the end of the operation";
/// Pause of who waits for memory.
const PAUSE: Duration = Duration::from_micros(100);

impl Stream for Live {
    fn launch(&mut self, batch: &Batch) -> Result<(), MachineError> {
        let requests = batch.requests();
        if requests.is_empty() || requests.len() > SLOTS {
            return Err(MachineError::Contract(format!("{} operations in one batch", requests.len())));
        }
        self.mailbox.put(&self.ram, &requests)?;
        let skip =
            format!("P{:x}={}", self.registers.pc.number, little_endian_hex(self.stops.wait.get() + 4));
        let started = self.runtime.block_on(async {
            self.client.command(&skip).await?;
            self.client.start("vCont;c").await
        });
        started.map_err(|error| self.connection_lost(error))?;
        self.in_flight = true;
        Ok(())
    }

    fn ended(&mut self, wait: bool) -> Result<bool, MachineError> {
        if !self.in_flight {
            return Ok(true);
        }
        if !wait && self.mailbox.unanswered(&self.ram)? != 0 {
            return Ok(false);
        }
        self.in_flight = false;
        let limit = self.options.perform_timeout;
        match self.runtime.block_on(self.client.stopped(limit)) {
            Ok(Some(reply)) => match StopReply::parse(&reply) {
                Some(stop) => self.at_stop(stop)?,
                None => {
                    let (request, reply) =
                        ("vCont;c".to_owned(), String::from_utf8_lossy(&reply).into_owned());
                    return Err(self.connection_lost(RspError::Refused { request, reply }));
                }
            },
            Ok(None) => return Err(self.hang(WAITING_FOR, limit)),
            Err(error) => return Err(self.connection_lost(error)),
        }
        self.mailbox.all_answered(&self.ram)?;
        Ok(true)
    }

    fn answer(&self, index: usize, operation: &Operation) -> Result<Answer, MachineError> {
        Ok(Answer::of(operation, &self.mailbox.response(&self.ram, index)?))
    }
}

/// Memory while operations are in flight: as it is after the last of them.
impl PhysMem for Live {
    fn read(&self, pa: PhysAddr, buf: &mut [u8]) -> Result<(), MemError> {
        let begin = Instant::now();
        while self.in_flight
            && self.mailbox.unanswered(&self.ram).is_ok_and(|count| count != 0)
            && begin.elapsed() < self.options.perform_timeout
        {
            std::thread::sleep(PAUSE);
        }
        self.ram.read(pa, buf)
    }
}
