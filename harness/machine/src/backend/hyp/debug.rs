//! A live machine in the hands of a debugger.

use std::time::Duration;

use parallax_addr::ImageVa;
use parallax_ops::{Answer, CpuId, Operation};

use super::{Live, little_endian_hex};
use crate::error::MachineError;
use crate::extensions::{Debug, Stand, Stops};
use crate::rsp::{RspError, StopReply};

impl Debug for Live {
    fn stops(&self) -> Stops {
        let stops = self.stops;
        Stops { wait: stops.wait, stuck: stops.stuck, panic: stops.panic }
    }

    fn stuck(&self) -> String {
        Self::stuck(self)
    }

    fn printed(&self) -> String {
        Self::printed(self)
    }

    fn documents(&mut self) -> Result<Vec<(String, String)>, MachineError> {
        let documents = self.runtime.block_on(self.client.documents());
        documents.map_err(|error| self.connection_lost(error))
    }

    fn ask(&mut self, cpu: usize, requests: &[String]) -> Result<Vec<Vec<u8>>, MachineError> {
        let mut all = vec![format!("Hg{}", self.thread(cpu)?)];
        all.extend_from_slice(requests);
        let replies = self.runtime.block_on(self.client.pipeline(&all));
        let mut replies = replies.map_err(|error| self.connection_lost(error))?;
        replies.remove(0);
        Ok(replies)
    }

    fn begin(&mut self, cpu: CpuId, operation: &Operation) -> Result<(), MachineError> {
        self.put(operation.request(cpu.get()))?;
        let skip =
            format!("P{:x}={}", self.registers.pc.number, little_endian_hex(self.stops.wait.get() + 4));
        self.ask(0, &[skip]).map(|_| ())
    }

    fn answer(&mut self, operation: &Operation) -> Result<Answer, MachineError> {
        // From now on CPU 0 is meant again.
        self.ask(0, &[])?;
        Ok(Answer::of(operation, &self.response()?))
    }

    fn go(&mut self, step: Option<usize>, alone: bool) -> Result<(), MachineError> {
        let action = match step {
            None => "vCont;c".to_owned(),
            Some(cpu) if alone => format!("vCont;s:{}", self.thread(cpu)?),
            Some(cpu) => format!("vCont;s:{};c", self.thread(cpu)?),
        };
        let started = self.runtime.block_on(self.client.start(&action));
        started.map_err(|error| self.connection_lost(error))
    }

    fn stopped(&mut self, limit: Duration) -> Result<Option<Stand>, MachineError> {
        match self.runtime.block_on(self.client.stopped(limit)) {
            Ok(reply) => reply.map(|reply| self.stand(&reply)).transpose(),
            Err(error) => Err(self.connection_lost(error)),
        }
    }

    fn halt(&mut self) -> Result<Stand, MachineError> {
        match self.runtime.block_on(self.client.halt()) {
            Ok(reply) => self.stand(&reply),
            Err(error) => Err(self.connection_lost(error)),
        }
    }
}

impl Live {
    /// The gdbstub's name of a CPU.
    pub(super) fn thread(&mut self, cpu: usize) -> Result<String, MachineError> {
        let threads = self.runtime.block_on(self.client.threads());
        let mut threads = threads.map_err(|error| self.connection_lost(error))?;
        if cpu >= threads.len() {
            return Err(MachineError::Contract(format!("there is no CPU {cpu}")));
        }
        Ok(threads.swap_remove(cpu))
    }

    fn stand(&mut self, reply: &[u8]) -> Result<Stand, MachineError> {
        let refused = || {
            let reply = String::from_utf8_lossy(reply).into_owned();
            MachineError::Rsp(RspError::Refused { request: "vCont".to_owned(), reply })
        };
        let (signal, thread) = match StopReply::parse(reply).ok_or_else(refused)? {
            StopReply::Stopped { signal, thread } => (signal, thread),
            StopReply::Exited { .. } => return Err(self.died()),
        };
        let threads = self.runtime.block_on(self.client.threads());
        let threads = threads.map_err(|error| self.connection_lost(error))?;
        let cpu = thread.and_then(|thread| threads.iter().position(|known| *known == thread)).unwrap_or(0);
        let registers = [self.registers.pc, self.registers.cpsr];
        let values = self.ask(cpu, &registers.map(|register| format!("p{:x}", register.number)))?;
        let value = |at: usize| crate::rsp::client::number("p", &values[at], registers[at].bytes());
        let (pc, cpsr) = (ImageVa::new(value(0)?), value(1)?);
        let watch = watched(reply).filter(|at| *at != self.stops.idle.get());
        Ok(Stand { signal, cpu, watch, pc, el: (cpsr >> 2 & 3) as u8 })
    }
}

/// The address in a stop reply that names a watchpoint.
fn watched(reply: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(reply).ok()?.get(3..)?;
    let mut pairs = text.split(';').filter_map(|pair| pair.split_once(':'));
    let (_, address) = pairs.find(|(key, _)| matches!(*key, "watch" | "rwatch" | "awatch"))?;
    u64::from_str_radix(address, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watchpoint_is_found_among_other_pairs() {
        assert_eq!(watched(b"T05thread:p01.01;watch:80004040;"), Some(0x8000_4040));
        assert_eq!(watched(b"T05awatch:1f;thread:p01.01;"), Some(0x1f));
        assert_eq!(watched(b"T05thread:p01.01;"), None);
        assert_eq!(watched(b"S05"), None);
    }
}
