//! An unmodified Linux on a machine: as the hypervisor's host, or alone for comparison.
//!
//! The kernel runs, and now and then the machine is stopped and looked at, at moments when no CPU is inside the
//! hypervisor, so that no operation is half done. Once the hypervisor has booted it is a [`LinuxHost`]. What the kernel
//! prints is in [`Linux::console`].

mod args;
mod boot;
mod bus;
mod config;
mod connect;
mod end;
mod host;
mod inject;
mod look;
mod pause;

use std::collections::BTreeSet;
use std::fs::File;

use parallax_abi::info::HypInfo;
use parallax_abi::journal::Record;
use parallax_abi::smmu_host::HostSmmu;
use parallax_addr::{HypVa, ImageVa, PhysAddr};
use parallax_trace::spec::{LINUX_BASE, MachineSpec, Region, regions};
use parallax_vmsa::PhysMem;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use zerocopy::FromBytes;

use crate::backend::hyp::boot::{pagewatch, read_info};
use crate::backend::hyp::registers::RegisterSet;
use crate::backend::hyp::report::not_started;
use crate::backend::without_guests;
use crate::cpu_clock::CpuClock;
use crate::error::MachineError;
use crate::qemu::{Files, Qemu, QemuError, Watched};
use crate::ram::MappedRam;
use crate::rsp::{Client, Register};
use crate::symbols::Symbols;
use crate::target::Description;
use crate::toolchain::BuiltImages;

pub use self::boot::LinuxBackend;
pub use self::bus::STREAM as EDU_STREAM;
pub use self::config::{KEPT, LinuxConfig};
use self::connect::connect;
pub use self::host::LinuxHost;
pub use self::pause::Wake;

/// What only a machine with the hypervisor has.
#[derive(Debug)]
struct Below {
    symbols: Symbols,
    registers: RegisterSet,
    /// x0 to x7.
    arguments: [Register; 8],
    panic: HypVa,
    info_va: HypVa,
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
    stops: BTreeSet<ImageVa>,
    /// The CPU that stands at one of them, and at which.
    standing: Option<(String, ImageVa)>,
    /// Events that were read and nobody has had yet.
    unread: Vec<Record>,
}

impl Linux {
    /// Starts `config` on the hypervisor of `images`, or alone, on a machine with CPUs, RAM, CPU model and options of the
    /// hypervisor from `spec`; its devices are not used. The machine stands still.
    ///
    /// # Errors
    /// QEMU cannot be used, or the configuration is impossible.
    pub(super) fn start(
        spec: &MachineSpec,
        config: &LinuxConfig,
        images: &BuiltImages,
        cancel: &CancellationToken,
    ) -> Result<Self, MachineError> {
        spec.check()?;
        without_guests(spec)?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime
            .map_err(|source| QemuError::Start { what: "making a runtime for its sockets", source })?;
        let signal = {
            let _entered = runtime.enter();
            signal(SignalKind::user_defined1())
        };
        let signal = signal.map_err(|source| QemuError::Start { what: "listening to SIGUSR1", source })?;
        let memory = spec.mem_bytes;
        let watched = config.pagewatch.as_deref().filter(|_| !config.bare);
        let plugin = watched.map(|library| {
            let symbols = Symbols::load(&images.hyp_elf, &images.payload_elf)?;
            pagewatch(library, &symbols, None)
        });
        let plugin = plugin.transpose()?;
        let files = Files { hyp: &images.hyp_img, payload: &config.kernel, tree: None };
        let (mut qemu, ram, watched) =
            Qemu::launch(memory, &files, plugin.as_ref(), |paths| args::arguments(spec, config, paths))?;
        if let Watched::Journal(journal, _) = &watched {
            journal.enable(true);
        }
        let connected = runtime.block_on(connect(&mut qemu, &spec.cpu, config, images, cancel));
        let (client, below) = connected.map_err(|error| not_started(&mut qemu, error))?;
        qemu.hide();
        let description = Description {
            qemu_version: qemu.version().to_string(),
            images: images.id.clone(),
            regions: regions(memory),
            payload: Region::new("host", LINUX_BASE, 0x1000),
            config: spec.clone(),
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
            unread: Vec::new(),
        })
    }

    /// What the plugin recorded since the last call, in the order of what happened; nothing without a plugin.
    ///
    /// # Errors
    /// The plugin's journal cannot be believed.
    pub fn events(&mut self) -> Result<Vec<Record>, MachineError> {
        self.keep_events()?;
        Ok(std::mem::take(&mut self.unread))
    }

    /// Empties the plugin's journal before it is full, for [`Self::events`] to give later.
    ///
    /// # Errors
    /// As [`Self::events`].
    pub fn keep_events(&mut self) -> Result<(), MachineError> {
        if let Watched::Journal(journal, _) = &self.watched {
            self.unread.extend(journal.read()?);
        }
        Ok(())
    }

    /// Whether a plugin records what happens.
    #[must_use]
    pub const fn events_recorded(&self) -> bool {
        matches!(self.watched, Watched::Journal(..))
    }

    /// Has a plugin record loads too, except from the hypervisor's own memory.
    pub fn watch_loads(&self, info: &HypInfo) {
        if let Watched::Journal(journal, _) = &self.watched {
            let own = info.image_pa..info.pool_pa + info.pool_size;
            journal.watch_loads(own, info.evtq_pa..info.evtq_pa.saturating_add(info.evtq_size));
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
            let registers = self.runtime.block_on(below.registers.read(&mut self.client, None, None))?;
            below.info = read_info(&self.ram, &registers.sys, below.info_va).ok();
        }
        Ok(below.info)
    }

    /// The SMMU as the hypervisor shows it to the kernel, the last state when the machine has ended; nothing where it shows
    /// none, and before [`Self::info`] has given anything.
    #[must_use]
    pub fn host_smmu(&self) -> Option<HostSmmu> {
        let pa = self.below.as_ref()?.info?.smmu_host_pa;
        let mut bytes = vec![0; size_of::<HostSmmu>()];
        self.ram.read(PhysAddr::new(pa), &mut bytes).ok()?;
        HostSmmu::read_from_bytes(&bytes).ok()
    }

    /// Addresses in the hypervisor: where a function begins, by the end of its path, in each function that it was inlined
    /// into; an offset behind that in bytes (`host_donate_hyp+0x40`), or in the image (`hyp+0x6744`).
    #[must_use]
    pub fn places(&self, text: &str) -> Vec<HypVa> {
        let Some(below) = &self.below else { return Vec::new() };
        let hyp = &below.symbols.hyp;
        let (name, offset) = text.rsplit_once('+').unwrap_or((text, "0"));
        let Some(offset) = parallax_addr::parse_number(offset) else { return Vec::new() };
        let begins = if name == "hyp" { vec![hyp.base()] } else { hyp.begins(name) };
        let places = begins.into_iter().filter_map(|begin| begin.checked_add(offset));
        let places = places.filter(|at| hyp.is_code(*at) && at.get().is_multiple_of(4));
        places.map(ImageVa::at_el2).collect()
    }
}
