//! An unmodified Linux with pKVM: another hypervisor, asked by the same traces.
//!
//! A kernel of any version with BTF and all of its symbols boots in protected mode with an initramfs of a shell, which says where
//! things are ([`kernel`]). From that, the types in the image ([`btf`]) and EL2's own table of handlers ([`calls`]) all else follows
//! ([`layout`]); no table of versions is kept. What a kernel does not have is absent, and what does not fit is refused by name.
//!
//! Its CPUs wait in the kernel's idle loop, and never leave it again: an operation is made in the place of one of them ([`inject`]),
//! by instructions of the kernel's own ([`code`]). Between two operations nothing runs.

mod args;
mod boot;
mod btf;
mod calls;
mod code;
mod dma;
mod form;
mod guests;
mod initrd;
mod inject;
mod kernel;
mod layout;
mod lines;
mod perform;
mod said;
mod vmm;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use parallax_addr::PhysAddr;
use parallax_ops::{Answer, Batch};
use parallax_trace::spec::{MachineSpec, SMMU_BASE};
use parallax_vmsa::PhysMem;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use self::calls::Calls;
use self::code::Code;
pub use self::form::Form;
use self::inject::{Set, Waiting};
use self::watch::Places;
use crate::backend::Backend;
use crate::backend::hyp::registers::RegisterSet;
use crate::error::MachineError;
use crate::extensions::Journal;
use crate::machine::Machine;
use crate::qemu::{Qemu, Watched};
use crate::ram::MappedRam;
use crate::rsp::Client;
use crate::symbols::Symbols;
use crate::target::{Registers, Target};

/// A kernel to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The kernel: an arm64 Image, not compressed.
    pub kernel: PathBuf,
    /// A static busybox of its architecture.
    pub busybox: PathBuf,
    /// Its ELF file with DWARF, if source lines are wanted.
    pub vmlinux: Option<PathBuf>,
    /// The plugin that is to watch EL2, if any: it is booted twice then.
    pub plugin: Option<PathBuf>,
    /// How EL2 is to run.
    pub forms: Vec<Form>,
    /// It must have booted after so long, in wall time.
    pub limit: Duration,
}

/// Boots such a kernel.
#[derive(Clone, Debug)]
pub struct Pkvm {
    /// The kernel.
    pub config: Config,
    /// What it is called.
    pub revision: String,
    /// Ends every wait of its machines.
    pub cancel: CancellationToken,
}

impl Backend for Pkvm {
    fn boot(&self, spec: &MachineSpec) -> Result<Box<dyn Machine>, MachineError> {
        Ok(Box::new(Live::boot(spec, &self.config, &self.cancel)?))
    }

    fn revision(&self) -> &str {
        &self.revision
    }
}

/// A machine whose CPUs wait.
#[derive(Debug)]
struct Live {
    runtime: Runtime,
    client: Client,
    qemu: Qemu,
    ram: MappedRam,
    watched: Watched,
    registers: RegisterSet,
    set: Set,
    cpus: Vec<Waiting>,
    target: Target,
    calls: Calls,
    code: Option<Code>,
    /// Where data of devices come from and go to.
    scratch: Option<PhysAddr>,
    /// Known once it has booted.
    symbols: Option<Symbols>,
    places: Option<Places>,
    /// Where the kernel is told that the hypervisor panicked.
    panic: u64,
    /// Where an idle CPU of the host waits.
    idle: u64,
}

impl Machine for Live {
    fn target(&self) -> &Target {
        &self.target
    }

    fn perform(&mut self, batch: &Batch) -> Result<Vec<Answer>, MachineError> {
        let mut answers = Vec::with_capacity(batch.ops.len());
        for (cpu, operation) in &batch.ops {
            answers.push(self.perform_one(cpu.get(), operation)?);
        }
        Ok(answers)
    }

    fn registers(&mut self) -> Result<Registers, MachineError> {
        let client = &mut self.client;
        let first = self.cpus.first().map(|cpu| format!("Hg{}", cpu.thread));
        let registers = &mut self.registers;
        Ok(self.runtime.block_on(async {
            if let Some(first) = first {
                client.command(&first).await?;
            }
            registers.read(client, Some(SMMU_BASE.get()), None).await
        })?)
    }

    fn memory(&self) -> &dyn PhysMem {
        &self.ram
    }

    fn symbols(&self) -> Option<&Symbols> {
        self.symbols.as_ref()
    }

    fn journal(&mut self) -> Option<&mut dyn Journal> {
        if matches!(self.watched, Watched::Journal(..)) { Some(self) } else { None }
    }
}
