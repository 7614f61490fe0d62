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

use std::time::Duration;

use anyhow::Result;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_linux::{Boot, LinuxSpec, Plan, Show, prepare, summary};
use parallax_machine::{MachineError, toolchain};

use super::output::print;
use crate::cli::Linux;
use crate::interrupt;

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
    let choice = prepare::choose_kernel(&spec, &root, args.initrd.is_some())?;
    let images = prepare::build_images(&root, args.fault.is_some(), &cancel)?;
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
    print(&(summary(&spec, args.bare, &outcome) + if good { "good\n" } else { "not good\n" }))?;
    Ok(if good { Status::Same } else { Status::Diverged })
}
