//! One boot of that Linux, from its disks to what was found.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anstream::eprintln;
use anyhow::{Context, Result};
use parallax_machine::toolchain::BuiltImages;
use parallax_machine::{CancellationToken, Linux, LinuxConfig, MachineConfig, MachineError, Pause};
use parallax_model::{Finding, Reporter, check};

use super::disks::KnownData;
use super::guest::{self, Job, Said};
use super::judge::Judge;
use super::watch::Watch;
use crate::cli;
use crate::engine::Observer;
use crate::status::Failure;

/// What one boot needs besides its arguments.
#[derive(Debug)]
pub(super) struct Boot<'a> {
    pub(super) args: &'a cli::Linux,
    /// The folder of the kernel and of busybox.
    pub(super) folder: &'a Path,
    pub(super) images: &'a BuiltImages,
    /// The plugin, if the order of events is to be judged.
    pub(super) plugin: Option<PathBuf>,
    pub(super) cancel: &'a CancellationToken,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) said: Said,
    /// How often all tables were looked at.
    pub(super) looks: usize,
    pub(super) findings: Vec<Finding>,
    /// For each finding what else there is to say.
    pub(super) details: Vec<Vec<String>>,
    /// How many events were judged, if any were recorded.
    pub(super) events: Option<u64>,
    /// The harness found on the disk what the guest was to write; not known when the guest has an initramfs of its own.
    pub(super) written: Option<bool>,
}

impl Outcome {
    /// Whether everything was in order.
    pub(super) fn good(&self) -> bool {
        let guest = self.written.is_none() || self.said.verdict == Some(true) && self.written == Some(true);
        guest && self.findings.is_empty()
    }
}

impl Boot<'_> {
    /// Boots it, `bare` or under the hypervisor, and waits until it has switched itself off. Looks at all tables
    /// every `every`, if that is not zero.
    pub(super) fn run(&self, bare: bool, every: Duration) -> Result<Outcome> {
        let args = self.args;
        let folder = tempfile::Builder::new().prefix("parallax-linux-").tempdir()?;
        let path = |name: &str| folder.path().join(name);
        let data = KnownData::new(args.io);
        for disk in ["nvme", "virtio"] {
            data.disk(&path(disk)).context("making a disk")?;
        }
        let initrd = match &args.initrd {
            Some(initrd) => initrd.clone(),
            None => {
                let job = Job { cpus: args.cpus, data: &data };
                let archive = guest::initramfs(self.folder, job);
                let archive = archive.map_err(|error| self.missing(&error.to_string()))?;
                std::fs::write(path("initrd"), archive)?;
                path("initrd")
            }
        };
        let config = LinuxConfig {
            machine: self.machine(),
            kernel: args.kernel.clone().unwrap_or_else(|| self.folder.join("Image")),
            initrd,
            append: self.command_line(),
            nvme: path("nvme"),
            virtio_blk: path("virtio"),
            bare,
            pagewatch: self.plugin.clone(),
        };
        if !config.kernel.is_file() {
            return Err(self.missing(&format!("no kernel at {}", config.kernel.display())).into());
        }
        let mut linux = Linux::start(&config, self.images, self.cancel).map_err(Failure::from)?;
        let mut outcome = self.watch(&mut linux, every)?;
        if args.initrd.is_none() {
            outcome.written = Some(data.is_copied(&path("virtio")).context("reading a disk")?);
        }
        Ok(outcome)
    }

    fn missing(&self, what: &str) -> Failure {
        let status = crate::status::Status::Setup;
        let folder = self.folder.display();
        Failure { status, message: format!("{what}; `ci/setup --linux` puts a Linux into {folder}") }
    }

    fn machine(&self) -> MachineConfig {
        let mut machine = MachineConfig {
            cpus: self.args.cpus,
            mem_bytes: self.args.mem,
            devices: Vec::new(),
            faults_build: self.args.fault.is_some(),
            ..MachineConfig::default()
        };
        machine.hyp.smmu = self.args.smmu;
        machine.hyp.fault = self.args.fault;
        machine.hyp.smmu_host = self.args.smmu_host;
        machine
    }

    fn command_line(&self) -> String {
        let passthrough = self.args.passthrough;
        let own = format!("console=ttyAMA0 panic=-1 iommu.passthrough={passthrough}");
        self.args.append.as_ref().map_or(own.clone(), |append| format!("{own} {append}"))
    }

    /// Lets it run to its end.
    fn watch(&self, linux: &mut Linux, every: Duration) -> Result<Outcome> {
        let verbose = self.args.verbose;
        let console = linux.console().map_err(Failure::from)?;
        let watch = Watch::start(console, move |line| {
            if verbose || line.starts_with("PLX ") {
                eprintln!("{line}");
            }
        });
        let mut outcome = Outcome::default();
        let result = self.drive(linux, every, &mut outcome);
        outcome.said = watch.finish();
        result.map_err(Failure::from)?;
        Ok(outcome)
    }

    fn drive(&self, linux: &mut Linux, every: Duration, outcome: &mut Outcome) -> Result<(), MachineError> {
        let limit = Duration::from_secs(self.args.timeout.into());
        let period = if every.is_zero() { limit } else { every };
        let (begin, mut observer, mut reporter) = (Instant::now(), None, Reporter::default());
        let mut judge = Judge::default();
        loop {
            let pause = linux.run_for(period)?;
            outcome.findings.extend(judge.take(linux)?);
            if pause == Pause::Ended {
                break;
            }
            if begin.elapsed() >= limit {
                let waiting_for = "the guest's switching itself off";
                return Err(MachineError::Hang { waiting_for, limit, report: linux.printed() });
            }
            let Some((info, registers)) = linux.look()? else { continue };
            let observer = observer.get_or_insert_with(|| Observer::new(linux.description(), info));
            let names = &observer.context().symbols;
            outcome.findings.extend(judge.meet(linux, &info, names)?);
            let snapshot = observer.observe(linux.memory(), &registers);
            outcome.findings.extend(reporter.fresh(check(&snapshot, observer.context())));
            outcome.looks += 1;
        }
        outcome.details = outcome.findings.iter().map(|finding| judge.detail(linux, finding)).collect();
        outcome.events = judge.events();
        Ok(())
    }
}
