//! An unmodified Linux on a machine: as the hypervisor's host, or alone for comparison.
//!
//! Unlike [`crate::Live`] nothing is performed here: the kernel runs, and now and then the machine is stopped and looked
//! at ([`Linux::look`]), at moments when no CPU is inside the hypervisor, so that no operation is half done. What the
//! kernel prints is in [`Linux::console`].

mod inject;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parallax_abi::info::{HypInfo, INFO_SYMBOL, PANIC_SYMBOL};
use parallax_abi::journal::Record;
use parallax_abi::smmu_host::HostSmmu;
use parallax_vmsa::PhysMem;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use zerocopy::FromBytes;

use crate::config::MachineConfig;
use crate::cpu_clock::CpuClock;
use crate::error::MachineError;
use crate::live::SIGTRAP;
use crate::live::boot::{pagewatch, read_info};
use crate::live::registers::RegisterSet;
use crate::live::report::{cpus, death, died_report, indented};
use crate::machine::{Description, Registers};
use crate::memory_map::{LINUX_BASE, Region, regions};
use crate::qemu::{Qemu, QemuError, Watched, linux_args};
use crate::ram::MappedRam;
use crate::rsp::{Client, Register, RspError, StopReply};
use crate::symbols::Symbols;
use crate::toolchain::BuiltImages;

/// Limit of connecting to a QEMU that has just been started.
const CONNECT: Duration = Duration::from_secs(30);
/// How long the machine runs on when it was stopped inside the hypervisor, and how often that is tried.
const STEP_ASIDE: (Duration, usize) = (Duration::from_millis(1), 200);

/// No instruction: a Linux has no test host that says when an operation is over.
const NO_MARK: u64 = u64::MAX;

/// A Linux to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinuxConfig {
    /// CPUs, RAM, CPU model and the hypervisor's options; its devices are not used.
    pub machine: MachineConfig,
    /// The kernel: an arm64 Image, not compressed.
    pub kernel: PathBuf,
    /// Its initramfs.
    pub initrd: PathBuf,
    /// Its command line.
    pub append: String,
    /// The file behind the NVMe disk.
    pub nvme: PathBuf,
    /// The file behind the virtio disk.
    pub virtio_blk: PathBuf,
    /// What the guest receives at port 1 of 10.0.2.100, and where goes what it sends to port 2.
    pub net: (PathBuf, PathBuf),
    /// A device that does DMA at the harness's command, which the kernel has no driver for: `edu` in slot 5.
    pub edu: bool,
    /// At EL1 of a machine without EL2, with the same devices.
    pub bare: bool,
    /// The plugin to load, see [`crate::toolchain::plugin`]; it records what the hypervisor does, and CPUs take turns.
    pub pagewatch: Option<PathBuf>,
}

/// How a piece of a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// The machine stands still and can go on.
    Running,
    /// As [`Self::Running`]; [`Wake::wake`] was called or SIGUSR1 came.
    Woken,
    /// As [`Self::Running`]; a CPU is about to execute the instruction that [`Linux::stop_at`] named.
    At(u64),
    /// It has switched itself off.
    Ended,
}

/// What only a machine with the hypervisor has.
#[derive(Debug)]
struct Below {
    symbols: Symbols,
    registers: RegisterSet,
    /// x0 to x7.
    arguments: [Register; 8],
    panic: u64,
    info_va: u64,
    info: Option<HypInfo>,
}

/// A Linux that runs, or stands still.
#[derive(Debug)]
pub struct Linux {
    runtime: Runtime,
    client: Client,
    qemu: Qemu,
    ram: MappedRam,
    watched: Watched,
    description: Description,
    below: Option<Below>,
    wake: Wake,
    signal: Signal,
    /// Where [`Self::stop_at`] said.
    stops: BTreeSet<u64>,
    /// The CPU that stands at one of them, and at which.
    standing: Option<(String, u64)>,
}

/// Stops a running machine from another thread.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// [`Linux::run_for`] returns soon, or the next one does.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// Where a CPU is.
#[derive(Clone, Debug)]
struct Position {
    thread: String,
    pc: u64,
    cpsr: u64,
}

impl Linux {
    /// Starts `config` on the hypervisor of `images`, or alone. The machine stands still.
    ///
    /// # Errors
    /// QEMU cannot be used, or the configuration is impossible.
    pub fn start(
        config: &LinuxConfig,
        images: &BuiltImages,
        cancel: &CancellationToken,
    ) -> Result<Self, MachineError> {
        config.machine.check()?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime
            .map_err(|source| QemuError::Start { what: "making a runtime for its sockets", source })?;
        let signal = {
            let _entered = runtime.enter();
            signal(SignalKind::user_defined1())
        };
        let signal = signal.map_err(|source| QemuError::Start { what: "listening to SIGUSR1", source })?;
        let memory = config.machine.mem_bytes;
        let watched = config.pagewatch.as_deref().filter(|_| !config.bare);
        let plugin = watched.map(|library| {
            let symbols = Symbols::load(&images.hyp_elf, &images.payload_elf, &images.repo_root)?;
            pagewatch(library, &symbols, NO_MARK)
        });
        let plugin = plugin.transpose()?;
        let (mut qemu, ram, watched) =
            Qemu::launch(memory, &images.hyp_img, &config.kernel, plugin.as_ref(), |paths| {
                linux_args::arguments(config, paths)
            })?;
        if let Watched::Journal(journal) = &watched {
            journal.enable(true);
        }
        let connected = runtime.block_on(connect(&mut qemu, config, images, cancel));
        let (client, below) = connected.map_err(|error| match error {
            MachineError::Rsp(RspError::Cancelled) => MachineError::Cancelled,
            MachineError::Rsp(RspError::Closed | RspError::Io(_)) => {
                let status = death(&mut qemu);
                let report = died_report(&qemu.stderr_tail(), "the machine did not start to run");
                MachineError::Boot(Box::new(MachineError::QemuDied { status, report }))
            }
            other => other,
        })?;
        qemu.hide();
        let description = Description {
            qemu_version: qemu.version().to_string(),
            regions: regions(memory),
            payload: Region::new("host", LINUX_BASE, 0x1000),
            config: config.machine.clone(),
        };
        let (wake, stops) = (Wake::default(), BTreeSet::new());
        Ok(Self {
            runtime,
            client,
            qemu,
            ram,
            watched,
            description,
            below,
            wake,
            signal,
            stops,
            standing: None,
        })
    }

    /// What the plugin recorded since the last call, in the order of what happened; nothing without a plugin.
    ///
    /// # Errors
    /// The plugin's journal cannot be believed.
    pub fn events(&mut self) -> Result<Vec<Record>, MachineError> {
        match &self.watched {
            Watched::Journal(journal) => Ok(journal.take()?),
            _ => Ok(Vec::new()),
        }
    }

    /// Whether a plugin records what happens.
    #[must_use]
    pub const fn events_recorded(&self) -> bool {
        matches!(self.watched, Watched::Journal(_))
    }

    /// Has a plugin record loads too, except from the hypervisor's own memory.
    pub fn watch_loads(&self, info: &HypInfo) {
        if let Watched::Journal(journal) = &self.watched {
            journal.watch_loads(info.image_pa..info.pool_pa + info.pool_size);
        }
    }

    /// Level of FEAT_BBM on the CPUs; 0 without the hypervisor.
    ///
    /// # Errors
    /// The connection failed.
    pub fn bbm_level(&mut self) -> Result<u8, MachineError> {
        let Some(below) = &self.below else { return Ok(0) };
        Ok(self.runtime.block_on(below.registers.bbm_level(&mut self.client))?)
    }

    /// Symbols of the hypervisor; none when the kernel runs alone.
    #[must_use]
    pub fn symbols(&self) -> Option<&Symbols> {
        self.below.as_ref().map(|below| &below.symbols)
    }

    /// What the machine is.
    #[must_use]
    pub const fn description(&self) -> &Description {
        &self.description
    }

    /// Physical memory.
    #[must_use]
    pub fn memory(&self) -> &dyn PhysMem {
        &self.ram
    }

    /// The file that holds what it prints, to be read by position.
    ///
    /// # Errors
    /// This process has too many open files.
    pub fn console(&self) -> Result<File, MachineError> {
        let console = self.qemu.console();
        console.map_err(|source| QemuError::Start { what: "reading its serial port", source }.into())
    }

    /// A clock of the CPU time that it takes.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn cpu_clock(&self) -> Result<CpuClock, MachineError> {
        let clock = CpuClock::of(self.qemu.id());
        clock.map_err(|source| QemuError::Start { what: "reading its CPU time", source }.into())
    }

    /// What stops it while it runs.
    #[must_use]
    pub fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// What the hypervisor says of itself; nothing before it has finished its boot, or without it.
    ///
    /// # Errors
    /// The connection failed.
    pub fn info(&mut self) -> Result<Option<HypInfo>, MachineError> {
        let Some(below) = &mut self.below else { return Ok(None) };
        if below.info.is_none() {
            let (sys, _) = self.runtime.block_on(below.registers.read(&mut self.client, None))?;
            below.info = read_info(&self.ram, &sys, below.info_va).ok();
        }
        Ok(below.info)
    }

    /// The SMMU as the hypervisor shows it to the kernel, the last state when the machine has ended; nothing where it shows
    /// none, and before [`Self::info`] has given anything.
    #[must_use]
    pub fn host_smmu(&self) -> Option<HostSmmu> {
        let pa = self.below.as_ref()?.info?.smmu_host_pa;
        let mut bytes = vec![0; size_of::<HostSmmu>()];
        self.ram.read(pa, &mut bytes).ok()?;
        HostSmmu::read_from_bytes(&bytes).ok()
    }

    /// The address of a function of the hypervisor, by the end of its path.
    #[must_use]
    pub fn function(&self, path: &str) -> Option<u64> {
        self.below.as_ref()?.symbols.hyp.function(path)
    }

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

    /// The hypervisor's description of itself and the registers that translation hangs on. The machine runs on for a
    /// moment if that is what it takes to have no CPU inside the hypervisor. Nothing comes of it without a hypervisor,
    /// before the hypervisor has finished its boot, or when the machine has ended meanwhile.
    ///
    /// # Errors
    /// As [`Self::run_for`].
    pub fn look(&mut self) -> Result<Option<(HypInfo, Registers)>, MachineError> {
        if self.below.is_none() {
            return Ok(None);
        }
        let (moment, tries) = STEP_ASIDE;
        for _ in 0..tries {
            if !self.inside()? {
                return self.registers();
            }
            if self.run_for(moment)? == Pause::Ended {
                return Ok(None);
            }
        }
        Err(MachineError::Hang {
            waiting_for: "a moment outside of the hypervisor",
            limit: moment * tries as u32,
            report: self.printed(),
        })
    }

    /// Stops whenever a CPU is about to execute the instruction at `address`, at whatever exception level.
    ///
    /// # Errors
    /// The connection failed.
    pub fn stop_at(&mut self, address: u64) -> Result<(), MachineError> {
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
            client.resume(&off, &format!("vCont;s:{thread}"), CONNECT).await?;
            client.command(&format!("Z1,{address:x},4")).await
        })?;
        Ok(())
    }

    /// `thread` stopped at a breakpoint: one of those that were asked for?
    fn arrived(&mut self, thread: Option<String>) -> Result<Pause, MachineError> {
        let position = self.positions()?.into_iter().find(|cpu| Some(&cpu.thread) == thread.as_ref());
        match position {
            Some(cpu) if self.stops.contains(&cpu.pc) => {
                self.standing = Some((cpu.thread, cpu.pc));
                Ok(Pause::At(cpu.pc))
            }
            _ => Err(self.trapped()),
        }
    }

    /// Whether a CPU is inside the hypervisor.
    fn inside(&mut self) -> Result<bool, MachineError> {
        let cpus = self.positions()?;
        Ok(cpus.iter().any(|cpu| self.is_inside(cpu)))
    }

    fn is_inside(&self, cpu: &Position) -> bool {
        // A CPU that has never been switched on is at EL2 too, at its reset vector.
        let code = |below: &Below| below.symbols.hyp.is_code(cpu.pc);
        cpu.cpsr >> 2 & 3 == 2 && self.below.as_ref().is_some_and(code)
    }

    /// Where each CPU is; none without a hypervisor. Ends with the first CPU as the current one.
    fn positions(&mut self) -> Result<Vec<Position>, MachineError> {
        let Some(below) = &self.below else { return Ok(Vec::new()) };
        let client = &mut self.client;
        let registers = [below.registers.pc, below.registers.cpsr];
        let positions = self.runtime.block_on(async {
            let mut positions = Vec::new();
            for thread in client.threads().await?.into_iter().rev() {
                client.command(&format!("Hg{thread}")).await?;
                let values = client.read_registers(&registers).await?;
                positions.insert(0, Position { thread, pc: values[0], cpsr: values[1] });
            }
            Ok::<_, RspError>(positions)
        })?;
        Ok(positions)
    }

    fn registers(&mut self) -> Result<Option<(HypInfo, Registers)>, MachineError> {
        let Some(info) = self.info()? else { return Ok(None) };
        let Some(below) = &self.below else { return Ok(None) };
        let smmu = (info.smmu_pa != 0).then_some(info.smmu_pa);
        let (sys, smmu) = self.runtime.block_on(below.registers.read(&mut self.client, smmu))?;
        Ok(Some((info, Registers { sys, smmu })))
    }

    /// What a stop at a breakpoint means that nobody asked for.
    fn trapped(&mut self) -> MachineError {
        let positions = match self.positions() {
            Ok(positions) => positions,
            Err(error) => return error,
        };
        let report = self.printed();
        let Some(below) = &self.below else {
            return MachineError::UnexpectedStop { what: "a breakpoint nobody set".to_owned(), report };
        };
        if positions.iter().any(|cpu| cpu.pc == below.panic && cpu.cpsr >> 2 & 3 == 2) {
            return MachineError::Panic { report };
        }
        let registers = [below.registers.pc, below.registers.cpsr];
        let cpus = self.runtime.block_on(cpus(&mut self.client, &below.symbols, &registers));
        let report = format!("{}{report}", cpus.unwrap_or_default());
        MachineError::UnexpectedStop { what: "a breakpoint".to_owned(), report }
    }

    /// QEMU has closed its sockets: as it should?
    fn ended(&mut self) -> Result<Pause, MachineError> {
        let status = death(&mut self.qemu);
        if self.qemu.ended().is_some_and(|status| status.success()) {
            return Ok(Pause::Ended);
        }
        let report = died_report(&self.qemu.stderr_tail(), &self.printed());
        Err(MachineError::QemuDied { status, report })
    }

    /// The end of what it printed, the hypervisor's addresses explained.
    #[must_use]
    pub fn printed(&self) -> String {
        let text = self.qemu.uart_tail();
        let text = self.below.as_ref().map_or_else(|| text.clone(), |below| below.symbols.annotate(&text));
        format!("the machine printed\n{}", indented(&text))
    }
}

/// Connects to the gdbstub; with the hypervisor, finds its symbols and sets a breakpoint on its panic.
async fn connect(
    qemu: &mut Qemu,
    config: &LinuxConfig,
    images: &BuiltImages,
    cancel: &CancellationToken,
) -> Result<(Client, Option<Below>), MachineError> {
    let socket = qemu.gdb_socket().ok_or_else(|| MachineError::Contract("QEMU has no sockets".to_owned()))?;
    let mut connecting = Box::pin(Client::connect(&socket, cancel.clone(), Instant::now() + CONNECT));
    let mut client = loop {
        tokio::select! {
            client = &mut connecting => break client?,
            () = tokio::time::sleep(Duration::from_millis(20)) => {
                if qemu.ended().is_some() {
                    return Err(RspError::Closed.into());
                }
            }
        }
    };
    client.handshake().await?;
    if config.bare {
        return Ok((client, None));
    }
    let symbols = Symbols::load(&images.hyp_elf, &images.payload_elf, &images.repo_root)?;
    let target = client.target_description().await?;
    let registers = RegisterSet::find(&target, &config.machine.cpu)?;
    let mut arguments = [registers.pc; 8];
    for (slot, register) in arguments.iter_mut().zip(["x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"]) {
        let unknown = || MachineError::UnknownRegister { register, cpu: config.machine.cpu.clone() };
        *slot = target.register(register).ok_or_else(unknown)?;
    }
    let panic = symbols.hyp.required(PANIC_SYMBOL)?;
    let info_va = symbols.hyp.required(INFO_SYMBOL)?;
    client.command("Qqemu.PhyMemMode:1").await?;
    client.command(&format!("Z1,{panic:x},4")).await?;
    Ok((client, Some(Below { symbols, registers, arguments, panic, info_va, info: None })))
}
