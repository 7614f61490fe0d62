//! A live machine: the hypervisor and the test host under QEMU, driven through the gdbstub.
//!
//! The machine stands still at the test host's `parallax_wait` whenever no call is under way (but see
//! [`Stream::launch`]). [`Live::perform`] fills the mailbox in mapped RAM, resumes and waits for the next stop. A
//! watchpoint stops the test host there, breakpoints at `parallax_panic_stop` and `parallax_stuck` catch what must not
//! happen.
//!
//! The interface is synchronous: a runtime of its own drives the sockets, so a [`Live`] must not be used from
//! inside another asynchronous runtime. QEMU ends with the thread that called [`Live::boot`].

mod at_once;
pub(crate) mod boot;
mod changed;
mod debug;
mod firmware;
mod flight;
pub(crate) mod gic;
mod images;
mod mailbox;
mod points;
pub(crate) mod registers;
pub(crate) mod report;
mod stay;
pub mod step;

use std::path::PathBuf;
use std::time::Duration;

use parallax_abi::journal::Record;
use parallax_abi::mailbox::{Request, Response, SLOTS};
use parallax_addr::{HypVa, ImageVa};
use parallax_ops::{Answer, Batch};
use parallax_vmsa::PhysMem;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use self::gic::GicAt;
pub use self::images::Hyp;
use self::mailbox::MailboxAt;
use self::registers::RegisterSet;
use crate::coverage::Executed;
use crate::error::MachineError;
use crate::extensions::{AtOnce, Debug, Journal, Stream};
use crate::machine::Machine;
use crate::qemu::{Notes, Qemu, Watched};
use crate::qmp::Qmp;
use crate::ram::MappedRam;
use crate::rsp::{Client, RspError, StopReply};
use crate::symbols::Symbols;
use crate::target::{Registers, Target};

/// How to boot and to wait.
#[derive(Clone, Debug)]
pub struct BootOptions {
    /// Limit of the boot, in wall time.
    pub boot_timeout: Duration,
    /// Limit of one batch of operations, in wall time.
    pub perform_timeout: Duration,
    /// Ends every wait when it is cancelled.
    pub cancel: CancellationToken,
    /// The plugin to load, see [`crate::toolchain::plugin`]. It records from the hypervisor's first instruction on.
    pub pagewatch: Option<PathBuf>,
    /// What the plugin notes: events from the hypervisor's first instruction on, code from power-on.
    pub notes: Notes,
}

impl Default for BootOptions {
    fn default() -> Self {
        Self {
            boot_timeout: Duration::from_secs(30),
            perform_timeout: Duration::from_secs(30),
            cancel: CancellationToken::new(),
            pagewatch: None,
            notes: Notes::Events,
        }
    }
}

/// GDB's number for a breakpoint or a step.
pub(crate) const SIGTRAP: u8 = 5;

/// Addresses where the machine may stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StopPoints {
    /// `parallax_wait`, at EL1: its first instruction writes to `idle`.
    pub(crate) wait: ImageVa,
    /// The word that the test host writes when it waits. It is watched: the gdbstub throws all translated code away at
    /// a breakpoint, and not at a watchpoint.
    pub(crate) idle: ImageVa,
    /// `parallax_stuck`, at EL1.
    pub(crate) stuck: ImageVa,
    /// `parallax_panic_stop`, at EL2.
    pub(crate) panic: HypVa,
}

/// A live machine.
#[derive(Debug)]
pub struct Live {
    runtime: Runtime,
    client: Client,
    qmp: Qmp,
    qemu: Qemu,
    ram: MappedRam,
    watched: Watched,
    symbols: Symbols,
    target: Target,
    registers: RegisterSet,
    stops: StopPoints,
    mailbox: MailboxAt,
    options: BootOptions,
    /// Whether operations are being performed that nobody waits for ([`Stream::launch`]).
    in_flight: bool,
}

impl Live {
    /// Process id of its QEMU.
    #[must_use]
    pub fn qemu_id(&self) -> u32 {
        self.qemu.id()
    }

    /// The gdbstub and what drives it, for [`crate::backend::hyp::step`].
    pub(crate) fn parts(&mut self) -> (&Runtime, &mut Client, StopPoints) {
        (&self.runtime, &mut self.client, self.stops)
    }

    /// Number of the program counter.
    pub(crate) const fn pc_register(&self) -> crate::rsp::Register {
        self.registers.pc
    }

    /// Number of the processor state register.
    pub(crate) const fn cpsr_register(&self) -> crate::rsp::Register {
        self.registers.cpsr
    }

    /// Puts one request into the mailbox without resuming.
    pub(crate) fn put(&self, request: Request) -> Result<(), MachineError> {
        self.mailbox.put(&self.ram, &[request])
    }

    /// Takes the response to one request.
    pub(crate) fn response(&self) -> Result<Response, MachineError> {
        self.mailbox
            .responses(&self.ram, 1)?
            .pop()
            .ok_or_else(|| MachineError::Contract("no response".to_owned()))
    }

    /// Resumes from wherever the machine stands and waits until it is at `parallax_wait`.
    pub(crate) fn run_on(&mut self) -> Result<(), MachineError> {
        self.resume(&[], "the end of the operation", self.options.perform_timeout)
    }

    /// Resumes past `parallax_wait` and waits until the machine is there again.
    fn run_to_wait(&mut self) -> Result<(), MachineError> {
        let skip =
            format!("P{:x}={}", self.registers.pc.number, little_endian_hex(self.stops.wait.get() + 4));
        self.resume(&[skip], "the end of the operation", self.options.perform_timeout)
    }

    /// Resumes and judges where the machine stops.
    fn resume(
        &mut self,
        before: &[String],
        waiting_for: &'static str,
        limit: Duration,
    ) -> Result<(), MachineError> {
        let watched = &self.watched;
        let stopped = self.runtime.block_on(async {
            match self.client.resume(before, "vCont;c", stay::SLICE.min(limit)).await {
                Err(RspError::Timeout(_)) => {}
                stop => return stop.map(Some),
            }
            let stop = stay::stopped(&mut self.client, watched, limit.saturating_sub(stay::SLICE)).await?;
            stop.map(|reply| stay::parse(&reply)).transpose()
        });
        match stopped {
            Ok(Some(stop)) => self.at_stop(stop),
            Ok(None) => Err(self.hang(waiting_for, limit)),
            Err(error) => Err(self.connection_lost(error)),
        }
    }

    fn at_stop(&mut self, stop: StopReply) -> Result<(), MachineError> {
        match stop {
            StopReply::Stopped { signal, thread } => self.judge_stop(signal, thread),
            StopReply::Exited { .. } => Err(self.died()),
        }
    }

    /// Whether the stop is the one that is wanted.
    fn judge_stop(&mut self, signal: u8, thread: Option<String>) -> Result<(), MachineError> {
        let registers = [self.registers.pc, self.registers.cpsr];
        let values = match self.runtime.block_on(self.client.read_registers(&registers)) {
            Ok(values) => values,
            Err(error) => return Err(self.connection_lost(error)),
        };
        let (pc, el) = (values[0], values[1] >> 2 & 3);
        if signal == SIGTRAP && el == 1 && pc == self.stops.wait.get() {
            return Ok(());
        }
        if el == 2 && pc == self.stops.panic.get() {
            return Err(MachineError::Panic { report: self.printed() });
        }
        let what = if el == 1 && pc == self.stops.stuck.get() {
            self.stuck()
        } else {
            let thread = thread.unwrap_or_else(|| "an unknown CPU".to_owned());
            format!("signal {signal} on {thread} at EL{el}, {}", self.symbols.describe(ImageVa::new(pc)))
        };
        let report = self.report();
        Err(MachineError::UnexpectedStop { what, report })
    }
}

/// `value` as `P` wants it.
pub(crate) fn little_endian_hex(value: u64) -> String {
    crate::rsp::hex::encode(&value.to_le_bytes())
}

impl Live {
    /// Performs `requests` as the test host takes them, and gives its responses.
    ///
    /// # Errors
    /// As [`Machine::perform`].
    pub fn perform_requests(&mut self, requests: &[Request]) -> Result<Vec<Response>, MachineError> {
        let mut responses = Vec::with_capacity(requests.len());
        for part in requests.chunks(SLOTS) {
            self.mailbox.put(&self.ram, part)?;
            self.run_to_wait()?;
            responses.extend(self.mailbox.responses(&self.ram, part.len())?);
        }
        Ok(responses)
    }
}

impl Machine for Live {
    fn target(&self) -> &Target {
        &self.target
    }

    fn perform(&mut self, batch: &Batch) -> Result<Vec<Answer>, MachineError> {
        let responses = self.perform_requests(&batch.requests())?;
        Ok(batch.ops.iter().zip(&responses).map(|((_, op), response)| Answer::of(op, response)).collect())
    }

    fn registers(&mut self) -> Result<Registers, MachineError> {
        let smmu_pa = self.target.info_or_zero().smmu_pa;
        let smmu = (smmu_pa != 0).then_some(smmu_pa);
        let gic = GicAt::of(&self.target.description);
        let read = self.runtime.block_on(self.registers.read(&mut self.client, smmu, gic));
        read.map_err(|error| self.connection_lost(error))
    }

    fn memory(&self) -> &dyn PhysMem {
        if self.in_flight { self } else { &self.ram }
    }

    fn symbols(&self) -> Option<&Symbols> {
        Some(&self.symbols)
    }

    fn executed(&self) -> Option<Executed> {
        match &self.watched {
            Watched::Coverage(coverage) | Watched::Journal(_, Some(coverage)) => coverage.executed().ok(),
            Watched::Nothing | Watched::Journal(_, None) => None,
        }
    }

    fn journal(&mut self) -> Option<&mut dyn Journal> {
        if matches!(self.watched, Watched::Journal(..)) { Some(self) } else { None }
    }

    fn stream(&mut self) -> Option<&mut dyn Stream> {
        if matches!(self.watched, Watched::Journal(..)) { Some(self) } else { None }
    }

    fn at_once(&mut self) -> Option<&mut dyn AtOnce> {
        Some(self)
    }

    fn debug(&mut self) -> Option<&mut dyn Debug> {
        Some(self)
    }
}

impl Journal for Live {
    fn events(&mut self) -> Result<Vec<Record>, MachineError> {
        Ok(self.watched.events()?)
    }

    fn bbm_level(&mut self) -> Result<u8, MachineError> {
        let level = self.runtime.block_on(self.registers.bbm_level(&mut self.client));
        level.map_err(|error| self.connection_lost(error))
    }
}
