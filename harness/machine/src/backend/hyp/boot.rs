//! From a configuration to a machine that waits for its first operation.

use std::path::Path;

use parallax_abi::info::{HypInfo, INFO_SYMBOL, MAGIC, PANIC_SYMBOL, VERSION};
use parallax_abi::journal::{MARK_SYMBOL, VECTORS_SYMBOL};
use parallax_abi::mailbox::{IDLE_SYMBOL, MAILBOX_SYMBOL, STUCK_SYMBOL, WAIT_SYMBOL};
use parallax_addr::{HypVa, ImageVa, PAGE_SIZE, PhysAddr};
use parallax_model::{LockForm, Tree, TreeLock};
use parallax_trace::spec::{Firmware, HYP_BASE, MachineSpec, PAYLOAD_BASE, Region, regions};
use parallax_vmsa::{PhysMem, Regime, SysRegs, translate};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;
use zerocopy::IntoBytes;

use super::mailbox::MailboxAt;
use super::registers::RegisterSet;
use super::report::not_started;
use super::{BootOptions, Live, StopPoints, firmware};
use crate::backend::without_guests;
use crate::error::MachineError;
use crate::qemu::{Notes, Pagewatch, Places, Qemu, QemuError, Watched};
use crate::qmp::Qmp;
use crate::ram::MappedRam;
use crate::rsp::{Client, RspError};
use crate::symbols::Symbols;
use crate::target::{Description, Target};
use crate::toolchain::BuiltImages;

/// What a hypervisor prints of a boot option that it does not know, or of a value of it.
const OPTION_REFUSED: [&str; 2] = ["unknown boot option `", "bad value in boot option `"];

/// The variable that holds the hypervisor's locks, and those that protect tables.
const HYP: &str = "HYP";
const LOCKS: [(&str, Tree); 3] = [("host", Tree::Host), ("el2", Tree::El2), ("smmu", Tree::Smmu)];

impl Live {
    /// Boots `images` on a machine made by `config` and waits until the test host is ready.
    ///
    /// # Errors
    /// QEMU cannot be used, the configuration is impossible, or [`MachineError::NotStarted`] or
    /// [`MachineError::Boot`] with the cause.
    pub fn boot(
        config: MachineSpec,
        images: &BuiltImages,
        options: BootOptions,
    ) -> Result<Self, MachineError> {
        config.check()?;
        without_guests(&config)?;
        let symbols = Symbols::load(&images.hyp_elf, &images.payload_elf)?;
        let stops = StopPoints {
            wait: symbols.payload.required(WAIT_SYMBOL)?,
            idle: symbols.payload.required(IDLE_SYMBOL)?,
            stuck: symbols.payload.required(STUCK_SYMBOL)?,
            panic: symbols.hyp.required(PANIC_SYMBOL)?.at_el2(),
        };
        let mailbox = MailboxAt(PhysAddr::new(symbols.payload.required(MAILBOX_SYMBOL)?.get()));
        let info_va = symbols.hyp.required(INFO_SYMBOL)?.at_el2();
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime
            .map_err(|source| QemuError::Start { what: "making a runtime for its sockets", source })?;
        let plugin = options.pagewatch.as_deref().map(|library| {
            let mark = symbols.payload.required(MARK_SYMBOL)?;
            let watched = pagewatch(library, &symbols, Some(mark))?;
            Ok::<_, MachineError>(Pagewatch { notes: options.notes, ..watched })
        });
        let plugin = plugin.transpose()?;
        let (mut qemu, ram, watched) =
            Qemu::start(&config, &images.hyp_img, &images.payload_img, plugin.as_ref())?;
        let (mut client, qmp, registers) = connect(&runtime, &mut qemu, &config, &options, stops)?;
        qemu.hide();
        let description = describe(&qemu, config, images, &symbols);
        if description.config.firmware == Firmware::Dirty {
            let loaded = [images.hyp_img.as_path(), images.payload_img.as_path()];
            firmware::leave(&runtime, &mut client, &ram, &description, loaded)?;
        }
        let mut live = Self {
            runtime,
            client,
            qmp,
            qemu,
            ram,
            watched,
            symbols,
            target: Target::new(description, HypInfo::default()),
            registers,
            stops,
            mailbox,
            options,
            in_flight: false,
        };
        live.finish(info_va).map_err(|cause| MachineError::in_boot(fitting(cause)))?;
        Ok(live)
    }

    /// Runs the boot itself, then reads what both programs say of themselves.
    fn finish(&mut self, info_va: HypVa) -> Result<(), MachineError> {
        if let Watched::Journal(journal, _) = &self.watched {
            journal.enable(true);
        }
        self.resume(&[], "the end of the boot", self.options.boot_timeout)?;
        self.mailbox.check(&self.ram)?;
        let cpus = self.mailbox.cpus(&self.ram)?;
        if cpus != u64::from(self.target.description.config.cpus) {
            let asked = self.target.description.config.cpus;
            return Err(MachineError::Contract(format!(
                "{cpus} of {asked} CPUs came up\n{}",
                self.printed()
            )));
        }
        let registers = match self.runtime.block_on(self.registers.read(&mut self.client, None, None)) {
            Ok(read) => read,
            Err(error) => return Err(self.connection_lost(error)),
        };
        let info = read_info(&self.ram, &registers.sys, info_va)?;
        self.target = Target::new(self.target.description.clone(), info);
        let fails = self.target.description.config.smmu_fails;
        firmware::break_commands(&self.runtime, &mut self.client, &info, fails)?;
        if let Watched::Journal(journal, _) = &self.watched {
            if info.image_pa != HYP_BASE.get() {
                let at = info.image_pa;
                return Err(MachineError::Contract(format!(
                    "the image is at {at:#x}, and its entry was watched at {HYP_BASE:#x}"
                )));
            }
            let own = info.image_pa..info.pool_pa + info.pool_size;
            self.target.told.locks = locks(&info, &self.symbols)?;
            journal.watch_loads(own, info.evtq_pa..info.evtq_pa.saturating_add(info.evtq_size));
        }
        Ok(())
    }
}

/// The locks of the hypervisor that `info` describes.
fn locks(info: &HypInfo, symbols: &Symbols) -> Result<[Option<TreeLock>; 3], MachineError> {
    let found = symbols.hyp.locks(HYP, &LOCKS.map(|(name, _)| name))?;
    Ok(LOCKS.map(|(name, tree)| {
        let lock = found.iter().find(|lock| lock.name == name)?;
        let at = PhysAddr::new(lock.address.get().wrapping_sub(info.image_va).wrapping_add(info.image_pa));
        Some(TreeLock { tree, at, form: LockForm::Byte })
    }))
}

/// What the plugin has to know of the images, and the address of the mark.
pub(crate) fn pagewatch(
    library: &Path,
    symbols: &Symbols,
    mark: Option<ImageVa>,
) -> Result<Pagewatch, MachineError> {
    Ok(Pagewatch {
        library: library.to_owned(),
        places: Some(Places {
            image: symbols.hyp.extent(),
            entry: HYP_BASE,
            vectors: symbols.hyp.required(VECTORS_SYMBOL)?,
        }),
        mark,
        notes: Notes::Events,
    })
}

/// Connects to both sockets and sets the breakpoints.
fn connect(
    runtime: &Runtime,
    qemu: &mut Qemu,
    config: &MachineSpec,
    options: &BootOptions,
    stops: StopPoints,
) -> Result<(Client, Qmp, RegisterSet), MachineError> {
    let sockets = qemu.gdb_socket().zip(qemu.qmp_socket());
    let (gdb, qmp) = sockets.ok_or_else(|| MachineError::Contract("QEMU has no sockets".to_owned()))?;
    let connected = runtime.block_on(async {
        let deadline = Instant::now() + options.boot_timeout;
        let mut connecting = Box::pin(Client::connect(&gdb, options.cancel.clone(), deadline));
        let mut client = loop {
            tokio::select! {
                client = &mut connecting => break client?,
                () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {
                    if qemu.ended().is_some() {
                        return Err(RspError::Closed.into());
                    }
                }
            }
        };
        client.handshake().await?;
        let target = client.target_description().await?;
        let registers = RegisterSet::find(&target, Some(&config.cpu), client.threads().await?)?;
        client.command("Qqemu.PhyMemMode:1").await?;
        client.command(&format!("Z2,{:x},8", stops.idle)).await?;
        for address in [stops.stuck, ImageVa::new(stops.panic.get())] {
            client.command(&format!("Z1,{address:x},4")).await?;
        }
        let qmp = Qmp::connect(&qmp).await.map_err(RspError::Io)?;
        Ok((client, qmp, registers))
    });
    connected.map_err(|error| not_started(qemu, error))
}

/// A hypervisor that does not know what this harness asks of it tells so by a panic; that is of another revision.
fn fitting(cause: MachineError) -> MachineError {
    let MachineError::Panic { report } = &cause else { return cause };
    match report.lines().find(|line| OPTION_REFUSED.iter().any(|text| line.contains(text))) {
        Some(line) => {
            MachineError::Unfit(format!("the hypervisor refuses its boot options: {}", line.trim()))
        }
        None => cause,
    }
}

fn describe(qemu: &Qemu, config: MachineSpec, images: &BuiltImages, symbols: &Symbols) -> Description {
    let end = symbols.payload.extent().1.get().next_multiple_of(PAGE_SIZE);
    Description {
        qemu_version: qemu.version().to_string(),
        images: images.id.clone(),
        regions: regions(config.mem_bytes),
        payload: Region::new("host", PAYLOAD_BASE, end.saturating_sub(PAYLOAD_BASE.get())),
        config,
    }
}

/// Reads the hypervisor's description of itself at `va`.
pub(crate) fn read_info(ram: &MappedRam, sys: &SysRegs, va: HypVa) -> Result<HypInfo, MachineError> {
    let contract = |text: String| MachineError::Contract(text);
    let regime = Regime::el2_stage1(sys).map_err(|error| contract(format!("EL2's stage 1: {error}")))?;
    let regime = regime.ok_or_else(|| contract("EL2's stage 1 is off".to_owned()))?;
    let at = translate(ram, &regime, va.into());
    let at = at.map_err(|fault| contract(format!("{INFO_SYMBOL} at {va} is not mapped at EL2: {fault}")))?;
    let mut info = HypInfo::default();
    ram.read(at.oa, info.as_mut_bytes())?;
    if info.magic != MAGIC {
        return Err(contract(format!(
            "the hypervisor's {INFO_SYMBOL} has magic {:#x}, not {MAGIC:#x}",
            info.magic
        )));
    }
    if info.version == 1 {
        info.pools_pa = [0; 2];
    }
    if matches!(info.version, 1 | 2) {
        (info.tree_pa, info.tree_size) = (0, 0);
    } else if info.version != VERSION {
        let text = format!("the hypervisor's {INFO_SYMBOL} has version {}, not {VERSION}", info.version);
        return Err(MachineError::Unfit(text));
    }
    Ok(info)
}
