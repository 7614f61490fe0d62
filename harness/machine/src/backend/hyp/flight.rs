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

use super::gic::GicAt;
use super::{Live, little_endian_hex, stay};
use crate::error::MachineError;
use crate::extensions::{DeviceWrites, Stream};
use crate::target::Registers;

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
        let limit = self.options.perform_timeout;
        if !wait && self.mailbox.unanswered(&self.ram)? != 0 {
            if !stay::is_endless(&self.watched) {
                return Ok(false);
            }
            self.in_flight = false;
            return Err(self.hang(WAITING_FOR, limit));
        }
        self.in_flight = false;
        let stopped = self.runtime.block_on(stay::stopped(&mut self.client, &self.watched, limit));
        match stopped.and_then(|reply| reply.map(|reply| stay::parse(&reply)).transpose()) {
            Ok(Some(stop)) => self.at_stop(stop)?,
            Ok(None) => return Err(self.hang(WAITING_FOR, limit)),
            Err(error) => return Err(self.connection_lost(error)),
        }
        self.mailbox.all_answered(&self.ram)?;
        Ok(true)
    }

    fn answer(&self, index: usize, operation: &Operation) -> Result<Answer, MachineError> {
        Ok(Answer::of(operation, &self.mailbox.response(&self.ram, index)?))
    }

    fn registers_after(
        &mut self,
        writes: DeviceWrites,
        known: &Registers,
    ) -> Result<Registers, MachineError> {
        let smmu = Some(self.target.info_or_zero().smmu_pa).filter(|&pa| pa != 0 && writes.smmu);
        let gic = GicAt::of(&self.target.description).filter(|_| writes.others);
        let read = self.runtime.block_on(self.registers.read(&mut self.client, smmu, gic));
        let mut read = read.map_err(|error| self.connection_lost(error))?;
        if !writes.smmu {
            read.smmu.clone_from(&known.smmu);
        }
        if !writes.others {
            read.gic.clone_from(&known.gic);
        }
        Ok(read)
    }
}

/// Memory while operations are in flight: as it is after the last of them.
impl PhysMem for Live {
    fn read(&self, pa: PhysAddr, buf: &mut [u8]) -> Result<(), MemError> {
        self.wait_for_all();
        self.ram.read(pa, buf)
    }

    fn holds(&self, pa: PhysAddr, bytes: &[u8]) -> Result<bool, MemError> {
        self.wait_for_all();
        self.ram.holds(pa, bytes)
    }
}

impl Live {
    /// Until nothing is in flight. Where QEMU was killed nothing will change any more, and who reads all tables must not wait for each.
    fn wait_for_all(&self) {
        let begin = Instant::now();
        while self.in_flight
            && self.mailbox.unanswered(&self.ram).is_ok_and(|count| count != 0)
            && begin.elapsed() < self.options.perform_timeout
            && !self.qemu.is_gone()
        {
            std::thread::sleep(PAUSE);
        }
    }
}
