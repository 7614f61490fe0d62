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
use parallax_engine::visible;
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
    if let Some(at) = args.at.iter().find(|at| !is_place(at)) {
        let message = format!(
            "--at {}: expected a function, FUNCTION+0x40, hyp+0x6744, an address, or a symbol of the kernel; an instruction has 4 bytes",
            visible::line(at)
        );
        return Err(Failure::usage(message).into());
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

/// Whether `at` can be where a CPU comes to: a name with or without an offset in whole instructions, or an address.
fn is_place(at: &str) -> bool {
    let number =
        |text: &str| parallax_addr::parse_number(text).is_some_and(|number| number.is_multiple_of(4));
    let name = |text: &str| text.starts_with(|c: char| c == '<' || c == '_' || c.is_ascii_alphabetic());
    match at.rsplit_once('+') {
        Some((begin, offset)) => name(begin) && number(offset),
        None => name(at) && at != "hyp" || number(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_name_an_offset_behind_one_or_an_address() {
        for at in
            ["host_donate_hyp", "<Hyp>::host_abort+0x8", "hyp+0x6744", "0xffff800080000000", "nvme_queue_rq"]
        {
            assert!(is_place(at), "{at}");
        }
        for at in [
            "",
            " ",
            "+",
            "+4",
            "hyp",
            "hyp+",
            "hyp+0x",
            "hyp+0xzz",
            "hyp+0x6745",
            "host_abort+1",
            "0x3",
            "-1",
        ] {
            assert!(!is_place(at), "{at}");
        }
    }
}
