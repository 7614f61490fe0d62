//! From a kernel's image to a machine that waits for its first operation.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parallax_addr::{ImageVa, Span};
use parallax_model::Layout;
use parallax_trace::spec::{Guest, MachineSpec, Region, SmmuMode, regions};
use parallax_vmsa::PhysMem;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use super::btf::Btf;
use super::calls::Calls;
use super::code::Code;
use super::inject::{Set, Waiting};
use super::kernel::{self, Kernel, not_found};
use super::watch::Places;
use super::{Config, Live, args, dma, initrd, layout, lines, said};
use crate::backend::hyp::registers::RegisterSet;
use crate::backend::hyp::report::not_started;
use crate::error::MachineError;
use crate::qemu::{Files, Notes, Pagewatch, Qemu, QemuError, Watched};
use crate::rsp::{Client, RspError, StopReply, TargetDescription};
use crate::scratch::Scratch;
use crate::symbols::{Image, Symbols};
use crate::target::{Description, Target};

/// The largest kernel image that is believed.
const MOST_IMAGE: u64 = 256 << 20;
/// How often the channel is looked at.
const PERIOD: Duration = Duration::from_millis(50);
/// Where an idle CPU waits: the function that executes `wfi`.
const IDLE: &str = "cpu_do_idle";
/// Where the kernel is told that the hypervisor panicked.
const PANIC: &str = "nvhe_hyp_panic_handler";

impl Live {
    /// Boots `config` on the machine `spec`, and has every CPU wait. With a plugin it is the second boot
    /// that comes of it.
    pub(super) fn boot(
        spec: &MachineSpec,
        config: &Config,
        cancel: &CancellationToken,
    ) -> Result<Self, MachineError> {
        if let Some(vmlinux) = &config.vmlinux {
            lines::check(vmlinux)?;
        }
        let first = Self::boot_once(spec, config, None, cancel)?;
        match (&config.plugin, first.places) {
            (Some(library), Some(places)) => {
                drop(first);
                Self::boot_once(spec, config, Some((library, places)), cancel)
            }
            _ => Ok(first),
        }
    }

    /// The same, once; with a plugin and what it must know of.
    fn boot_once(
        spec: &MachineSpec,
        config: &Config,
        plugin: Option<(&PathBuf, Places)>,
        cancel: &CancellationToken,
    ) -> Result<Self, MachineError> {
        spec.check()?;
        if spec.faults_build || spec.tree.is_some() {
            let what = "faults and device trees of a trace's own are for the hypervisor of this project";
            return Err(MachineError::Foreign(what.to_owned()));
        }
        config.forms.iter().try_for_each(|form| form.fits(spec))?;
        let image = initrd::read(&config.kernel, MOST_IMAGE)?;
        let btf = Btf::find(&image).ok_or_else(|| not_found("BTF in the image (CONFIG_DEBUG_INFO_BTF=y)"))?;
        let start = |what| move |source| QemuError::Start { what, source };
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(start("making a runtime for its sockets"))?;
        let folder = Scratch::new().map_err(start("making a folder for its initramfs"))?;
        let (archive, channel) = (folder.path().join("initrd"), folder.path().join("channel"));
        fs::write(&archive, initrd::initrd(&config.busybox, spec.guest)?)
            .map_err(start("writing its initramfs"))?;
        let files = Files { hyp: &config.kernel, payload: Path::new(""), tree: None };
        let pagewatch = plugin.map(|(library, _)| Pagewatch {
            library: library.clone(),
            places: None,
            mark: None,
            notes: Notes::Events,
        });
        let (mut qemu, ram, watched) = Qemu::launch(spec.mem_bytes, &files, pagewatch.as_ref(), |paths| {
            args::arguments((spec, &config.forms), paths, &archive, &channel)
        })?;
        let connected = runtime.block_on(connect(&mut qemu, &spec.cpu, cancel));
        let (mut client, registers, target) = connected.map_err(|error| not_started(&mut qemu, error))?;
        let failed = MachineError::in_boot;
        let set =
            Set::find(&target).map_err(|name| MachineError::Foreign(format!("QEMU has no register {name}")));
        let set = set.map_err(failed)?;
        if let (Some((_, places)), Watched::Journal(journal, _)) = (plugin, &watched) {
            runtime.block_on(places.tell(&mut client, &ram, journal, config.limit)).map_err(failed)?;
        }
        let text = runtime.block_on(listen(&mut client, &channel, config.limit));
        let text = match text {
            Err(MachineError::Hang { waiting_for, limit, .. }) => {
                let report = said::in_boot(&qemu.uart_tail());
                return Err(failed(MachineError::Hang { waiting_for, limit, report }));
            }
            text => text.map_err(failed)?,
        };
        let kernel = Kernel::parse(&text).map_err(failed)?;
        if kernel.cpus != usize::from(spec.cpus) {
            let what = format!("{} of {} CPUs came up", kernel.cpus, spec.cpus);
            return Err(failed(MachineError::Foreign(what)));
        }
        guest(spec.guest, kernel.guest.as_deref()).map_err(failed)?;
        let idle = kernel.symbol(IDLE).map_err(failed)?;
        let cpus = runtime.block_on(park(&mut client, &set, idle, config.limit));
        let cpus = cpus.map_err(failed)?;
        qemu.hide();
        let mut live = Self {
            runtime,
            client,
            qemu,
            ram,
            watched,
            registers,
            set,
            cpus,
            // Until it is known.
            target: Target::unknown(),
            calls: Calls::default(),
            code: None,
            scratch: None,
            symbols: None,
            places: None,
            panic: 0,
            idle,
        };
        match live.finish((spec, config), &kernel, &btf) {
            Ok(()) => Ok(live),
            Err(error) => Err(failed(said::with_words(error, &live.qemu.uart_tail()))),
        }
    }

    /// Finds out where everything is, and sets the breakpoints.
    fn finish(
        &mut self,
        (spec, config): (&MachineSpec, &Config),
        kernel: &Kernel,
        btf: &Btf<'_>,
    ) -> Result<(), MachineError> {
        let registers = self.runtime.block_on(self.registers.read(&mut self.client, None, None))?;
        config.forms.iter().try_for_each(|form| form.is_so(&registers.sys))?;
        let mut told = layout::told(kernel, btf, &self.ram, &registers.sys)?;
        // The kernel's image is in EL2's linear map where it is at EL2.
        let base = kernel.symbol("_text")?;
        let moved = kernel.physical(base)?.get().wrapping_sub(base).wrapping_add(told.layout.linear_offset);
        for (entry, cpu) in told.own_entries.iter_mut().zip(&self.cpus) {
            let at = cpu.per_cpu.map(|more| more.wrapping_add(moved));
            *entry = at.and_then(|at| layout::own_entry(kernel, btf, (&self.ram, &registers.sys), at));
        }
        self.calls = Calls::read(kernel, &self.ram, moved)?;
        let code = Code::find(kernel, &self.ram, told.layout.image)?;
        self.panic = kernel.symbol(PANIC)?;
        let mut stops = code.stops();
        stops.push(self.panic);
        stops.extend(self.cpus.iter().map(|cpu| cpu.vector));
        stops.sort_unstable();
        stops.dedup();
        let client = &mut self.client;
        self.runtime.block_on(async {
            for stop in stops {
                client.command(&format!("Z1,{stop:x},4")).await?;
            }
            Ok::<_, RspError>(())
        })?;
        self.code = Some(code);
        self.scratch = kernel.place(dma::SCRATCH).ok();
        let text = kernel.part(["_text", "_etext"]).unwrap_or_default();
        let description = describe(&self.qemu.version().to_string(), spec, text);
        self.target = Target { description, told, info: None, calls: self.calls.named() };
        let mut hyp = el2(kernel, &told.layout, &self.ram, moved)?;
        if let Some(vmlinux) = &config.vmlinux {
            hyp = lines::with_lines(hyp, vmlinux, kernel, moved)?;
        }
        self.symbols = Some(Symbols { hyp, payload: Image::default() });
        self.places = Some(Places::of(kernel, told.layout.image)?);
        Ok(())
    }
}

/// Refuses a kernel in which the program with a virtual machine did not come to its end.
fn guest(wanted: Guest, said: Option<&str>) -> Result<(), MachineError> {
    match (wanted, said) {
        (Guest::None, _) | (_, Some(kernel::GUEST_OK)) => Ok(()),
        (_, said) => {
            let said = said.unwrap_or("nothing");
            let text = format!(
                "guest=ordinary: the program that is to have a virtual machine by /dev/kvm (CONFIG_KVM=y) said: {said}"
            );
            Err(MachineError::Foreign(text))
        }
    }
}

/// EL2's code at its own addresses, with the functions that the kernel names. It has what is at virtual address 0 of the kernel at
/// `moved`.
fn el2(kernel: &Kernel, layout: &Layout, memory: &dyn PhysMem, moved: u64) -> Result<Image, MachineError> {
    let mut code = vec![0; layout.image.size as usize];
    memory.read(layout.image.base, &mut code)?;
    let symbols =
        kernel.el2_symbols("").map(|(name, va)| (name.to_owned(), ImageVa::new(va.wrapping_add(moved))));
    Ok(Image::of_symbols(ImageVa::new(layout.image_va.get()), code, symbols.collect()))
}

/// What was booted. The hypervisor leaves the SMMU to the host.
fn describe(qemu_version: &str, spec: &MachineSpec, text: Span<parallax_addr::PhysAddr>) -> Description {
    let mut config = spec.clone();
    config.hyp.smmu = SmmuMode::Off;
    Description {
        qemu_version: qemu_version.to_owned(),
        images: String::new(),
        regions: regions(spec.mem_bytes),
        payload: Region::new("host", text.base, text.size),
        config,
    }
}

/// Connects to the gdbstub of a machine of CPU model `cpu`.
async fn connect(
    qemu: &mut Qemu,
    cpu: &str,
    cancel: &CancellationToken,
) -> Result<(Client, RegisterSet, TargetDescription), MachineError> {
    let socket = qemu.gdb_socket().ok_or_else(|| MachineError::Contract("QEMU has no sockets".to_owned()))?;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    let mut connecting = Box::pin(Client::connect(&socket, cancel.clone(), deadline));
    let mut client = loop {
        tokio::select! {
            client = &mut connecting => break client?,
            () = tokio::time::sleep(PERIOD) => {
                if qemu.ended().is_some() {
                    return Err(RspError::Closed.into());
                }
            }
        }
    };
    client.handshake().await?;
    let target = client.target_description().await?;
    let registers = RegisterSet::find(&target, Some(cpu), client.threads().await?)?;
    client.command("Qqemu.PhyMemMode:1").await?;
    Ok((client, registers, target))
}

/// Lets the machine go until PID 1 has said all at `channel`, and gives that.
async fn listen(client: &mut Client, channel: &Path, limit: Duration) -> Result<Vec<u8>, MachineError> {
    let begin = Instant::now();
    client.start("vCont;c").await?;
    loop {
        if client.stopped(PERIOD).await?.is_some() {
            return Err(MachineError::SwitchedOff);
        }
        let text = said(channel).unwrap_or_default();
        if kernel::is_whole(&text) {
            client.interrupt().await?;
            return Ok(text);
        }
        if begin.elapsed() > limit {
            client.interrupt().await?;
            let waiting_for = "what PID 1 has to say of the hypervisor";
            return Err(MachineError::Hang { waiting_for, limit, report: String::new() });
        }
    }
}

/// What is in the file at `channel`: all of it if it has come to its end, else no more than that end.
fn said(channel: &Path) -> std::io::Result<Vec<u8>> {
    const TAIL: u64 = 64;
    let mut file = File::open(channel)?;
    let len = file.metadata()?.len();
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(len.saturating_sub(TAIL)))?;
    Read::by_ref(&mut file).take(TAIL).read_to_end(&mut text)?;
    if kernel::is_whole(&text) {
        text.clear();
        file.rewind()?;
        file.take(kernel::MOST_TEXT as u64).read_to_end(&mut text)?;
    }
    Ok(text)
}

/// Has every CPU wait at `idle`. One that has come there does not go on.
async fn park(
    client: &mut Client,
    set: &Set,
    idle: u64,
    limit: Duration,
) -> Result<Vec<Waiting>, MachineError> {
    let threads = client.threads().await?;
    let mut left = threads.clone();
    client.command(&format!("Z1,{idle:x},4")).await?;
    let begin = Instant::now();
    while !left.is_empty() {
        let goes: Vec<String> = left.iter().map(|thread| format!("c:{thread}")).collect();
        let remaining = limit.saturating_sub(begin.elapsed());
        let stop = client.resume(&[], &format!("vCont;{}", goes.join(";")), remaining).await;
        let thread = match stop {
            Ok(StopReply::Stopped { thread: Some(thread), .. }) => thread,
            Err(RspError::Timeout(_)) => {
                let waiting_for = "a CPU in the kernel's idle loop";
                return Err(MachineError::Hang { waiting_for, limit, report: String::new() });
            }
            Err(error) => return Err(error.into()),
            Ok(_) => return Err(MachineError::SwitchedOff),
        };
        client.command(&format!("Hg{thread}")).await?;
        if client.read_registers(&[set.pc()]).await? == [idle] {
            left.retain(|one| *one != thread);
        }
    }
    client.command(&format!("z1,{idle:x},4")).await?;
    let mut cpus = Vec::new();
    for thread in &threads {
        cpus.push(Waiting::of(client, set, thread).await?);
    }
    if let Some(first) = threads.first() {
        client.command(&format!("Hg{first}")).await?;
    }
    Ok(cpus)
}
