//! A QEMU that somebody else started, looked at through its gdbstub.
//!
//! The machine stands still from the moment of the connection until [`Attached`] is dropped; nothing of it is changed, and it
//! goes on then, if it did not stand still before. Registers and memory are read by the protocol alone, so nothing has to be known of how QEMU was started.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use parallax_addr::{PAGE_SIZE, PhysAddr};
use parallax_vmsa::{MemError, PhysMem};
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::beside::{Ram, RamFile};
use super::hyp::registers::RegisterSet;
use crate::error::MachineError;
use crate::rsp::{Client, RspError};
use crate::target::Registers;

/// Limit of connecting.
const CONNECT: Duration = Duration::from_secs(2);
/// Bytes that are asked for at once.
const PART: usize = 2048;
/// Pages that are read, at most: tables that map 8 GiB page by page, and half a gigabyte here.
const MOST_PAGES: usize = 1 << 12;

/// Where a gdbstub listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GdbAddress {
    /// At a unix socket.
    Socket(PathBuf),
    /// At a port: host, colon, number.
    Tcp(String),
}

impl FromStr for GdbAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix("tcp:").or_else(|| text.strip_prefix("tcp::")).unwrap_or(text);
        match text.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() && !host.contains('/') => {
                let host = if host.is_empty() { "127.0.0.1" } else { host };
                Ok(Self::Tcp(format!("{host}:{port}")))
            }
            _ if text.is_empty() => Err("a socket, or HOST:PORT".to_owned()),
            _ => Ok(Self::Socket(text.into())),
        }
    }
}

impl fmt::Display for GdbAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(f),
            Self::Tcp(host) => f.write_str(host),
        }
    }
}

/// The machine.
pub struct Attached {
    runtime: Runtime,
    client: RefCell<Client>,
    registers: RegisterSet,
    /// What the gdbstub calls the groups of CPUs.
    processes: BTreeSet<String>,
    cancel: CancellationToken,
    /// The file behind its memory, if that is known.
    ram: Option<Ram>,
    /// It stood still before: it stays so.
    stays: bool,
    /// Nobody named that file: where it is another one, the gdbstub is asked.
    guessed: bool,
    /// Whether a page of that was the same by the gdbstub.
    is_its_ram: Cell<Option<bool>>,
    /// Pages that were read, at most [`MOST_PAGES`]; none where there is no memory.
    pages: RefCell<BTreeMap<PhysAddr, Option<Box<[u8]>>>>,
}

impl Attached {
    /// Connects to the gdbstub at `address`. The machine stops.
    ///
    /// # Errors
    /// Nobody listens there, or what does is no gdbstub of a QEMU with an AArch64 CPU that has EL2.
    pub fn to(address: &GdbAddress, cancel: &CancellationToken) -> Result<Self, MachineError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| MachineError::Contract(error.to_string()))?;
        let connected = runtime.block_on(async {
            let mut client = match address {
                GdbAddress::Socket(path) => {
                    Client::connect(path, cancel.clone(), Instant::now() + CONNECT).await?
                }
                GdbAddress::Tcp(host) => Client::connect_tcp(host, cancel.clone()).await?,
            };
            client.handshake().await?;
            let threads = client.threads().await?;
            let found = Self::look_up(&mut client, &threads).await;
            if found.is_err() {
                let _it_may_be_gone = detach(&mut client, &processes(&threads)).await;
            }
            found.map(|registers| (client, registers, processes(&threads)))
        });
        let (client, registers, processes) = connected?;
        let (client, cancel, pages) = (RefCell::new(client), cancel.clone(), RefCell::default());
        let (ram, is_its_ram, stays, guessed) = (None, Cell::new(None), false, false);
        Ok(Self { runtime, client, registers, processes, cancel, ram, stays, guessed, is_its_ram, pages })
    }

    /// Reads memory from the file `ram` in place of the gdbstub, where it is in there.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn read_ram_from(&mut self, ram: &RamFile) -> Result<(), MachineError> {
        self.ram = Some(Ram::open(ram).map_err(MachineError::Contract)?);
        Ok(())
    }

    /// The same for a file that nobody named: what cannot be opened, and what holds other bytes, is not read.
    pub fn may_read_ram_from(&mut self, ram: &RamFile) {
        (self.ram, self.guessed) = (Ram::open(ram).ok(), true);
    }

    /// Leaves a machine that did not run as it was.
    pub fn stay_stopped(&mut self) {
        self.stays = true;
    }

    /// How many CPUs there are.
    #[must_use]
    pub fn cpus(&self) -> usize {
        self.registers.cpus()
    }

    async fn look_up(client: &mut Client, threads: &[String]) -> Result<RegisterSet, MachineError> {
        let target = client.target_description().await?;
        let registers = RegisterSet::find(&target, "of this machine", threads.to_vec())?;
        client.command("Qqemu.PhyMemMode:1").await?;
        Ok(registers)
    }

    /// The registers of each CPU, and those of the SMMU at `smmu`, if there is one.
    ///
    /// # Errors
    /// The connection failed, or there are no registers at `smmu`.
    pub fn registers(&mut self, smmu: Option<PhysAddr>) -> Result<Registers, MachineError> {
        let client = self.client.get_mut();
        let read = self.registers.read(client, smmu.map(PhysAddr::get), None);
        Ok(self.runtime.block_on(read)?)
    }

    /// Whether all that was asked for was read.
    ///
    /// # Errors
    /// The user ended it, or there was more than is read.
    pub fn complete(&self) -> Result<(), MachineError> {
        if self.cancel.is_cancelled() {
            return Err(MachineError::Cancelled);
        }
        if self.is_its_ram.get() == Some(false) && !self.guessed {
            let text = "the file of --ram holds other bytes than the machine's memory: is it that of its memory-backend-file, with share=on, and where does it begin (FILE@ADDRESS)?";
            return Err(MachineError::Contract(text.to_owned()));
        }
        if self.pages.borrow().len() >= MOST_PAGES {
            let text = format!("its tables are more than {MOST_PAGES} pages, and no more are read");
            return Err(MachineError::Contract(text));
        }
        Ok(())
    }

    /// The page at `pa`; nothing if there is no memory.
    fn page(&self, pa: PhysAddr) -> Option<Box<[u8]>> {
        let another = self.guessed && self.is_its_ram.get() == Some(false);
        let of_file = self.ram.as_ref().filter(|_| !another).and_then(|ram| ram.page(pa));
        let Some(page) = of_file else { return self.page_by_gdb(pa) };
        if self.is_its_ram.get().is_none() {
            let by_gdb = self.page_by_gdb(pa);
            self.is_its_ram.set(Some(by_gdb.as_ref() == Some(&page)));
            return if self.guessed { by_gdb } else { Some(page) };
        }
        Some(page)
    }

    /// The same by the gdbstub.
    fn page_by_gdb(&self, pa: PhysAddr) -> Option<Box<[u8]>> {
        let mut client = self.client.borrow_mut();
        let parts = (0..PAGE_SIZE as usize).step_by(PART);
        let read = async {
            let mut bytes = Vec::with_capacity(PAGE_SIZE as usize);
            for part in parts {
                bytes.extend(client.read_memory(pa.get() + part as u64, PART).await.ok()?);
            }
            Some(bytes.into_boxed_slice())
        };
        self.runtime.block_on(read)
    }
}

impl PhysMem for Attached {
    fn read(&self, pa: PhysAddr, buf: &mut [u8]) -> Result<(), MemError> {
        let error = MemError { pa, len: buf.len() };
        let mut at = pa;
        let mut rest = buf;
        while !rest.is_empty() {
            let mut pages = self.pages.borrow_mut();
            if pages.len() >= MOST_PAGES && !pages.contains_key(&at.page()) || self.cancel.is_cancelled() {
                return Err(error);
            }
            let page = pages.entry(at.page()).or_insert_with(|| self.page(at.page()));
            let bytes = page.as_ref().and_then(|page| page.get(at.offset() as usize..)).ok_or(error)?;
            let len = bytes.len().min(rest.len());
            let (now, later) = rest.split_at_mut(len);
            now.copy_from_slice(&bytes[..len]);
            (at, rest) = (at.checked_add(len as u64).ok_or(error)?, later);
        }
        Ok(())
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let client = self.client.get_mut();
        // What does not answer is gone.
        let gone = BTreeSet::new();
        let processes = if self.stays { &gone } else { &self.processes };
        let _unheard = self.runtime.block_on(detach(client, processes));
    }
}

/// The processes of `threads`, whose names are `pPROCESS.THREAD`.
fn processes(threads: &[String]) -> BTreeSet<String> {
    let process = |name: &String| Some(name.strip_prefix('p')?.split_once('.')?.0.to_owned());
    threads.iter().filter_map(process).collect()
}

/// Lets the machine go on, also where the user has ended the command. Memory is virtual again for who comes next.
async fn detach(client: &mut Client, processes: &BTreeSet<String>) -> Result<(), RspError> {
    let memory = std::iter::once("Qqemu.PhyMemMode:0".to_owned());
    for request in memory.chain(processes.iter().map(|process| format!("D;{process}"))) {
        match client.command(&request).await {
            // It was sent, and nobody waits for the answer.
            Err(RspError::Cancelled) => {}
            answer => answer?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_process_is_named_once() {
        let threads = ["p1.1", "p1.2", "p02.1"].map(str::to_owned);
        assert_eq!(Vec::from_iter(processes(&threads)), ["02", "1"]);
    }

    #[test]
    fn a_port_is_told_from_a_socket() {
        let tcp = |text: &str| Ok(GdbAddress::Tcp(text.to_owned()));
        assert_eq!("localhost:1234".parse(), tcp("localhost:1234"));
        assert_eq!(":1234".parse(), tcp("127.0.0.1:1234"));
        assert_eq!("tcp::1234".parse(), tcp("127.0.0.1:1234"));
        assert_eq!("/tmp/a:1".parse::<GdbAddress>(), Ok(GdbAddress::Socket("/tmp/a:1".into())));
        assert_eq!("gdb.sock".parse::<GdbAddress>(), Ok(GdbAddress::Socket("gdb.sock".into())));
        assert!("".parse::<GdbAddress>().is_err());
    }
}
