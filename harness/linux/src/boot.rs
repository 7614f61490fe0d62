//! One boot of that Linux, from its disks to what was found.

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use anstream::eprintln;
use anyhow::{Context, Result};
use parallax_abi::fault::Fault;
use parallax_engine::ReportedFinding;
use parallax_engine::Reproducer;
use parallax_engine::project;
use parallax_engine::status::Failure;
use parallax_engine::visible;
use parallax_machine::scratch::Scratch;
use parallax_machine::toolchain::BuiltImages;
use parallax_machine::{CancellationToken, KEPT, Linux, LinuxBackend, LinuxConfig};
use parallax_trace::spec::{HostView, MachineSpec, SmmuMode};

use crate::choice::Choice;
use crate::commands::Commands;
use crate::console_reader::ConsoleReader;
use crate::disks::KnownData;
use crate::drive::{Inspections, Plan, drive};
use crate::guest::{self, Job, Said};
use crate::oops;
use crate::operations::Operations;
use crate::spec::LinuxSpec;

/// How much of the console is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// Nothing.
    Nothing,
    /// What is for the harness.
    Steps,
    /// Everything.
    All,
}

/// What one boot needs besides its arguments.
#[derive(Debug)]
pub struct Boot<'a> {
    /// The kernel and its machine.
    pub machine: &'a LinuxSpec,
    /// An initramfs instead of the one that tests.
    pub initrd: Option<&'a Path>,
    /// A fault of the hypervisor.
    pub fault: Option<Fault>,
    /// How much of the console is shown while it runs.
    pub show: Show,
    /// Only measure, so often, and test nothing; or test.
    pub measure: u8,
    /// The kernel, its modules and busybox.
    pub choice: &'a Choice,
    /// The hypervisor, built.
    pub images: &'a BuiltImages,
    /// The plugin, if the order of events is to be judged.
    pub plugin: Option<PathBuf>,
    /// Ends it.
    pub cancel: &'a CancellationToken,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What the guest said.
    pub said: Said,
    /// How often all tables were looked at.
    pub looks: usize,
    /// What was found.
    pub findings: Vec<ReportedFinding>,
    /// How many events were judged, if any were recorded.
    pub events: Option<u64>,
    /// Where the guest was to write, and whether the harness found there what it had to; not known when the guest has an
    /// initramfs of its own.
    pub written: Option<Vec<(&'static str, bool)>>,
    /// The end of the console, when the kernel died.
    pub printed: Vec<String>,
    /// What was done beside the guest's work.
    pub operations: Operations,
    /// What became of the kernel's commands to its SMMU.
    pub commands: Option<Commands>,
}

impl Outcome {
    /// Whether everything was in order.
    pub fn good(&self) -> bool {
        let guest = self
            .written
            .as_ref()
            .is_none_or(|written| self.said.verdict == Some(true) && written.iter().all(|(_, good)| *good));
        guest && self.said.death.is_none() && self.findings.is_empty() && self.operations.good()
    }
}

impl Boot<'_> {
    /// Boots it, `bare` or under the hypervisor, does what `plan` says, and waits until it has switched itself off.
    pub fn run(&self, bare: bool, plan: &Plan) -> Result<Outcome> {
        let args = self.machine;
        let folder = Scratch::new()?;
        let path = |name: &str| folder.path().join(name);
        let data = KnownData::new(args.io);
        for disk in ["nvme", "virtio"] {
            data.disk(&path(disk)).context("making a disk")?;
        }
        data.of_network().file(&path("net-in")).context("making what the network sends")?;
        let initrd = match self.initrd {
            Some(initrd) => initrd.to_owned(),
            None => {
                let smmu = bare || args.smmu == SmmuMode::Off || args.smmu_host == HostView::Emulated;
                let job = Job {
                    cpus: args.cpus,
                    smmu,
                    measure: self.measure,
                    operations: plan.operations > 0,
                    at: &plan.at,
                    data: &data,
                };
                let Choice { busybox, modules, .. } = self.choice;
                let archive = guest::initramfs(busybox, modules, job);
                let archive = archive.with_context(|| format!("reading {}", busybox.display()))?;
                std::fs::write(path("initrd"), archive)?;
                path("initrd")
            }
        };
        let config = LinuxConfig {
            kernel: self.choice.image.clone(),
            initrd,
            append: self.command_line(plan),
            nvme: path("nvme"),
            virtio_blk: path("virtio"),
            net: (path("net-in"), path("net-out")),
            edu: plan.operations > 0,
            bare,
            pagewatch: self.plugin.clone(),
        };
        let spec = self.machine_config();
        let backend = LinuxBackend {
            config,
            images: self.images.clone(),
            revision: project::revision(&self.images.repo_root),
            limit: plan.limit,
            cancel: self.cancel.clone(),
        };
        let mut linux = backend.start(&spec).map_err(Failure::from)?;
        let mut outcome = self.run_to_end(&mut linux, plan)?;
        if self.initrd.is_none() && self.measure == 0 {
            let mut written = Vec::new();
            let behind = data.behind();
            let network = data.of_network();
            for (file, data, mib) in
                [("nvme", &data, behind), ("virtio", &data, behind), ("net-out", &network, 0)]
            {
                written.push((file, data.is_at(&path(file), mib).context("reading what the guest wrote")?));
            }
            outcome.written = Some(written);
        }
        Ok(outcome)
    }

    fn machine_config(&self) -> MachineSpec {
        let mut machine = MachineSpec {
            cpus: self.machine.cpus,
            mem_bytes: self.machine.mem,
            devices: Vec::new(),
            faults_build: self.fault.is_some(),
            ..MachineSpec::default()
        };
        machine.hyp.smmu = self.machine.smmu;
        machine.hyp.fault = self.fault;
        machine.hyp.smmu_host = self.machine.smmu_host;
        machine
    }

    fn command_line(&self, plan: &Plan) -> String {
        let passthrough = self.machine.passthrough;
        let mut own = format!("console=ttyAMA0 panic=-1 iommu.passthrough={passthrough}");
        if plan.operations > 0 {
            own.push_str(&format!(" mem={}K", (self.machine.mem - KEPT) >> 10));
        }
        self.machine.append.as_ref().map_or(own.clone(), |append| format!("{own} {append}"))
    }

    /// Lets it run to its end.
    fn run_to_end(&self, linux: &mut Linux, plan: &Plan) -> Result<Outcome> {
        let show = self.show;
        let console = linux.console().map_err(Failure::from)?;
        let clock = linux.cpu_clock().map_err(Failure::from)?;
        let (send, lines) = mpsc::channel();
        let (wake, markers) = (linux.wake(), plan.at_console.clone());
        let reader = ConsoleReader::start(console, clock, move |line| {
            if oops::death(line).is_some() || markers.iter().any(|marker| line.contains(marker)) {
                wake.wake();
            }
            if show == Show::All || show == Show::Steps && line.starts_with("PLX ") {
                eprintln!("{}", visible::line(line));
            }
            // Who does not listen any more has what it wanted.
            let _ = send.send(line.to_owned());
        });
        // Nobody but the user knows what is left out of it: it is given again as it was.
        let reproducer =
            Reproducer::new(std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()));
        let mut inspections = Inspections::new(reproducer, plan.commands.then(Commands::default));
        let mut operations = Operations::new(plan.operations);
        let result = drive(linux, plan, &lines, &mut inspections, &mut operations);
        let said = reader.finish();
        result.map_err(Failure::from)?;
        let Inspections { count, findings, commands, events, .. } = inspections;
        let printed = if said.death.is_some() { oops::last_lines(&linux.printed()) } else { Vec::new() };
        Ok(Outcome { said, looks: count, findings, events, written: None, printed, operations, commands })
    }
}
