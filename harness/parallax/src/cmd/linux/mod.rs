//! `parallax linux`: an unmodified Linux as the hypervisor's host, with disks and a network behind the SMMU.
//!
//! ```text
//! under the hypervisor: 1 CPU, 1024 MiB, SMMU shadow
//!   userspace after 3.1 s
//!   ok      nvme_read       210 MiB/s
//!   ...
//!   ok      nvme            the file holds what the guest had to write
//!   22 looks at all tables, 0 findings
//! good
//! ```

mod bench;

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use anstream::eprintln;
use anyhow::Result;
use parallax_machine::toolchain::{self, BuiltImages, Variant};
use parallax_machine::{CancellationToken, MachineError};

pub(super) use self::bench::bench;
use super::print;
use crate::cli::Linux;
use crate::interrupt;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_linux::{Boot, Choice, LinuxSpec, Outcome, Plan, Show};

/// Where `ci/setup --linux` puts a Linux, in the project's folder.
const FOLDER: &str = "target/linux";

/// Runs it.
pub(super) fn linux(args: &Linux) -> Result<Status> {
    if args.events && args.every == 0 {
        return Err(Failure::usage("--events needs looks at the machine; leave --every 0 out").into());
    }
    let cancel = interrupt::token()?;
    if let Some(initrd) = args.initrd.as_ref().filter(|initrd| !initrd.is_file()) {
        return Err(Failure::usage(format!("--initrd {}: there is no such file", initrd.display())).into());
    }
    let root = project::root(&[])?;
    let spec = LinuxSpec::from(&args.machine);
    let choice = chosen(&spec, &root, args.initrd.is_some())?;
    let images = built(&root, args.fault.is_some(), &cancel)?;
    let plugin = args.events.then(|| toolchain::plugin(&root, &cancel)).transpose();
    let boot = Boot {
        machine: &spec,
        initrd: args.initrd.as_deref(),
        fault: args.fault,
        show: if args.verbose { Show::All } else { Show::Steps },
        measure: 0,
        choice: &choice,
        images: &images,
        plugin: plugin.map_err(|error| Failure::from(MachineError::from(error)))?,
        cancel: &cancel,
    };
    let every = if args.bare { Duration::ZERO } else { Duration::from_millis(args.every.into()) };
    let limit = Duration::from_secs(args.machine.timeout.into());
    let plan = Plan {
        every,
        limit,
        operations: args.operations,
        at: args.at.clone(),
        at_console: args.at_console.clone(),
        views: args.views,
        commands: args.commands,
    };
    let outcome = boot.run(args.bare, &plan)?;
    let good = outcome.good() && (every.is_zero() || outcome.looks > 0);
    let good = good && (!args.events || outcome.events.is_some());
    print(&(told(&spec, args.bare, &outcome) + if good { "good\n" } else { "not good\n" }))?;
    Ok(verdict(good))
}

/// What is to be booted, before anything is built; says what the user should know of it.
fn chosen(machine: &LinuxSpec, root: &Path, own_initrd: bool) -> Result<Choice, Failure> {
    let choice = parallax_linux::choose(machine, &root.join(FOLDER), own_initrd)?;
    choice.notes.iter().for_each(|note| eprintln!("{note}"));
    Ok(choice)
}

/// The hypervisor, built.
fn built(root: &Path, faults: bool, cancel: &CancellationToken) -> Result<BuiltImages, Failure> {
    let variant = if faults { Variant::Faults } else { Variant::Normal };
    toolchain::build(root, variant, cancel).map_err(|error| MachineError::from(error).into())
}

const fn verdict(good: bool) -> Status {
    if good { Status::Same } else { Status::Diverged }
}

/// What is told of a boot.
fn told(args: &LinuxSpec, bare: bool, outcome: &Outcome) -> String {
    let mut text = String::new();
    let under = format!("under the hypervisor, SMMU {}", args.smmu);
    let _ = writeln!(
        text,
        "{}: CPUs {}, {} MiB, iommu.passthrough={}",
        if bare { "alone at EL1" } else { &under },
        args.cpus,
        args.mem >> 20,
        args.passthrough
    );
    let said = &outcome.said;
    if let Some(time) = said.userspace {
        let _ = writeln!(text, "  userspace after {:.2} s", time.wall.as_secs_f64());
    }
    let word = |good: bool| if good { "ok" } else { "FAILED" };
    for (name, good) in &said.steps {
        let rate = said.rates.iter().find(|rate| rate.name == *name);
        let rate = rate.map_or_else(String::new, |rate| format!("{:.0} MiB/s", rate.mib_per_second));
        let _ = writeln!(text, "{}", format!("  {:<7} {name:<15} {rate}", word(*good)).trim_end());
    }
    if let Some(death) = &said.death {
        let _ = writeln!(text, "  FAILED  the kernel died: {death}");
        outcome.printed.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
    } else if let Some(written) = &outcome.written {
        for (file, good) in written {
            let _ =
                writeln!(text, "  {:<7} {file:<15} the file holds what the guest had to write", word(*good));
        }
        if said.verdict.is_none() {
            let _ = writeln!(text, "  FAILED  the guest did not come to its verdict");
        }
    }
    said.notes.iter().for_each(|note| text.push_str(&format!("  {note}\n")));
    if outcome.looks > 0 {
        let _ =
            writeln!(text, "  {} looks at all tables, {} findings", outcome.looks, outcome.findings.len());
    }
    text.push_str(&outcome.operations.to_string());
    if let Some(commands) = &outcome.commands {
        text.push_str(&commands.to_string());
    }
    if let Some(events) = outcome.events {
        let _ = writeln!(text, "  {events} events judged");
    }
    for found in &outcome.findings {
        let _ = writeln!(text, "  look {}, {}", found.line, found.op);
        found.lines().iter().for_each(|line| text.push_str(&format!("    {line}\n")));
        let _ = writeln!(text, "    again: {}", found.reproduce());
    }
    text
}
