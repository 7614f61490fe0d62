//! A QEMU that somebody else started, looked at through its gdbstub.
//!
//! The machine stands still from the moment of the connection until [`Attached`] is dropped; nothing of it is changed, and it
//! goes on then, if it did not stand still before. Registers and memory are read by the protocol alone, so nothing has to be known of how QEMU was started.

mod address;
mod front;
mod kept;
mod leave;
mod pages;
mod smmu;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use parallax_addr::PhysAddr;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use self::address::BUSY;
use self::leave::{leave, processes};
use self::pages::{File, Pages};
use super::beside::{Ram, RamFile};
use super::hyp::registers::RegisterSet;
use crate::error::MachineError;
use crate::rsp::client::{Client, REPLY_TIMEOUT, RspError};
use crate::target::Registers;

pub use self::address::GdbAddress;
pub use self::front::{Answers, Debugger, Left};

/// Limit of connecting.
const CONNECT: Duration = Duration::from_secs(2);
/// So much of an answer that was not expected is shown, in bytes.
const SHOWN: usize = 40;

/// The machine.
pub struct Attached {
    runtime: Runtime,
    address: GdbAddress,
    client: RefCell<Client>,
    /// None before the machine was looked up.
    registers: Option<RegisterSet>,
    /// What the gdbstub calls the groups of CPUs that go on afterwards; none, where it stood still before.
    processes: BTreeSet<String>,
    /// Whether it was let go.
    left: bool,
    cancel: CancellationToken,
    pages: Pages,
}

impl Attached {
    /// Connects to the gdbstub at `address`. The machine stops; it goes on afterwards, unless it `stays`.
    ///
    /// # Errors
    /// Nobody listens there, or what does is no gdbstub of a QEMU with an AArch64 CPU that has EL2.
    pub fn to(address: &GdbAddress, stays: bool, cancel: &CancellationToken) -> Result<Self, MachineError> {
        let runtime = runtime()?;
        let connected = runtime.block_on(async {
            let mut client = address.connect(cancel, CONNECT).await?;
            // The first one is there before it has said so.
            let mut of = if stays { BTreeSet::new() } else { BTreeSet::from(["1".to_owned()]) };
            let found = Self::look_up(&mut client, |threads| {
                if !stays {
                    of = processes(threads);
                }
            });
            match found.await {
                Ok(registers) => Ok((client, registers, of)),
                Err(error) => {
                    let _it_may_be_none = leave(&mut client, address, &of).await;
                    Err(error)
                }
            }
        });
        let (client, registers, processes) = connected?;
        let mut attached = Self::over(runtime, address, client, cancel);
        (attached.registers, attached.processes) = (Some(registers), processes);
        Ok(attached)
    }

    /// A machine that was not looked up yet.
    fn over(runtime: Runtime, address: &GdbAddress, client: Client, cancel: &CancellationToken) -> Self {
        Self {
            runtime,
            address: address.clone(),
            client: RefCell::new(client),
            registers: None,
            processes: BTreeSet::new(),
            left: false,
            cancel: cancel.clone(),
            pages: Pages::default(),
        }
    }

    /// Gets ready for a look at the machine of a debugger ([`Self::between`]): addresses are physical, the first CPU is the current one.
    ///
    /// # Errors
    /// The connection failed, or it is no QEMU with an AArch64 CPU that has EL2.
    pub fn know(&mut self) -> Result<(), MachineError> {
        let client = self.client.get_mut();
        let known = &mut self.registers;
        self.runtime.block_on(async {
            let reading = |error| failed(error, "the CPUs and their registers were listed");
            let registers = match known {
                Some(registers) => registers,
                None => known.insert(Self::registers_of(client, |_| {}).await?),
            };
            if let Some(first) = registers.first() {
                client.command(&format!("Hg{first}")).await.map_err(reading)?;
            }
            client.command("Qqemu.PhyMemMode:1").await.map_err(reading)
        })
    }

    /// Reads memory from the file `ram` in place of the gdbstub, where it is in there.
    ///
    /// # Errors
    /// It cannot be opened, or its size is none that a memory has.
    pub fn read_ram_from(&mut self, ram: &RamFile) -> Result<(), MachineError> {
        let ram = Ram::open(ram).map_err(MachineError::Contract)?;
        self.pages.file = Some(File::new(ram, false));
        Ok(())
    }

    /// The same for a file that nobody named: what cannot be opened, and what holds other bytes, is not read.
    pub fn may_read_ram_from(&mut self, ram: &RamFile) {
        self.pages.file = Ram::open(ram).ok().map(|ram| File::new(ram, true));
    }

    /// How many CPUs there are.
    #[must_use]
    pub fn cpus(&self) -> usize {
        self.registers.as_ref().map_or(0, RegisterSet::cpus)
    }

    /// Asks what the machine is; `found` is told the CPUs as soon as they are known.
    async fn look_up(
        client: &mut Client,
        found: impl FnOnce(&[String]),
    ) -> Result<RegisterSet, MachineError> {
        client.handshake().await.map_err(unanswered)?;
        let registers = Self::registers_of(client, found).await?;
        let reading = |error| failed(error, "the CPUs and their registers were listed");
        client.command("Qqemu.PhyMemMode:1").await.map_err(reading)?;
        Ok(registers)
    }

    /// What registers there are; `found` is told the CPUs as soon as they are known.
    async fn registers_of(
        client: &mut Client,
        found: impl FnOnce(&[String]),
    ) -> Result<RegisterSet, MachineError> {
        let reading = |error| failed(error, "the CPUs and their registers were listed");
        let threads = client.threads().await.map_err(reading)?;
        found(&threads);
        let target = client.target_description().await.map_err(reading)?;
        RegisterSet::find(&target, None, threads)
    }

    /// The registers of each CPU, and those of the SMMU at `smmu`, if there is one.
    ///
    /// # Errors
    /// The connection failed, or there are no registers at `smmu`.
    pub fn registers(&mut self, smmu: Option<PhysAddr>) -> Result<Registers, MachineError> {
        let client = self.client.get_mut();
        let unknown = || MachineError::Contract("the machine was not looked up".to_owned());
        let registers = self.registers.as_mut().ok_or_else(unknown)?;
        let read = registers.read(client, smmu.map(PhysAddr::get), None);
        self.runtime.block_on(read).map_err(|error| failed(error, "the registers were read"))
    }

    /// Lets the machine go on, unless it stood still before. Whether the gdbstub has said that it does.
    pub fn leave(mut self) -> bool {
        self.let_go()
    }

    fn let_go(&mut self) -> bool {
        self.left = true;
        self.runtime.block_on(leave(self.client.get_mut(), &self.address, &self.processes))
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if !self.left {
            let _unheard = self.let_go();
        }
    }
}

fn runtime() -> Result<Runtime, MachineError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| MachineError::Contract(error.to_string()))
}

/// What to say of `error`, which came in place of the first answer.
fn unanswered(error: RspError) -> MachineError {
    match error {
        RspError::Timeout(_) => MachineError::Contract(format!("no answer within {REPLY_TIMEOUT:?}: {BUSY}")),
        RspError::Closed => MachineError::Contract(format!("it has hung up without a word: {BUSY}")),
        error => failed(error, "it was asked whether it is a gdbstub"),
    }
}

/// What to say of `error`, which came while something was done.
fn failed(error: RspError, doing: &str) -> MachineError {
    let gone = |error: &io::Error| {
        matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
    };
    let text = match error {
        RspError::Cancelled => return MachineError::Cancelled,
        RspError::Closed => format!("the connection ended while {doing}"),
        RspError::Io(error) if gone(&error) => format!("the connection ended while {doing}"),
        RspError::Io(error) => format!("what came while {doing} is no packet of a gdbstub: {error}"),
        RspError::Timeout(request) => {
            format!("no answer to `{request}` within {REPLY_TIMEOUT:?} while {doing}")
        }
        RspError::Refused { request, reply } => {
            let more = reply.len().saturating_sub(SHOWN);
            let shown: String = reply.chars().take(SHOWN).collect();
            let more = if more == 0 { String::new() } else { format!(" and {more} bytes more") };
            format!("`{request}` was answered `{shown}`{more} while {doing}")
        }
        RspError::Target(error) => format!("{error} while {doing}"),
    };
    MachineError::Contract(text)
}
