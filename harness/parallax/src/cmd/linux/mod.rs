//! `parallax linux`: an unmodified Linux as the hypervisor's host, with disks and a network behind the SMMU.
//!
//! ```text
//! under the hypervisor: 1 CPU, 1024 MiB, SMMU shadow
//!   userspace after 3.1 s
//!   ok      nvme_read       210 MiB/s
//!   ...
//!   ok      written: the harness finds on the disk what the guest wrote
//!   22 looks at all tables, 0 findings
//! good
//! ```

mod boot;
mod cpio;
mod disks;
mod guest;
mod judge;
mod watch;

use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;
use parallax_machine::MachineError;
use parallax_machine::toolchain::{self, Variant};

use self::boot::{Boot, Outcome};
use super::print;
use crate::cli::Linux;
use crate::interrupt;
use crate::project;
use crate::status::{Failure, Status};

/// Runs it.
pub(super) fn linux(args: &Linux) -> Result<Status> {
    if args.events && args.every == 0 {
        return Err(Failure::usage("--events needs looks at the machine; leave --every 0 out").into());
    }
    let cancel = interrupt::token()?;
    let root = project::root(&[])?;
    let variant = if args.fault.is_some() { Variant::Faults } else { Variant::Normal };
    let images = toolchain::build(&root, variant, &cancel);
    let images = images.map_err(|error| Failure::from(MachineError::from(error)))?;
    let plugin = args.events.then(|| toolchain::plugin(&root, &cancel)).transpose();
    let plugin = plugin.map_err(|error| Failure::from(MachineError::from(error)))?;
    let folder = &root.join("target/linux");
    let boot = Boot { args, folder, images: &images, plugin, cancel: &cancel };
    if args.compare {
        let (bare, under) = (boot.run(true, Duration::ZERO)?, boot.run(false, Duration::ZERO)?);
        print(&(told(args, true, &bare) + &told(args, false, &under) + &compared(&bare, &under)))?;
        return Ok(verdict(bare.good() && under.good()));
    }
    let every = if args.bare { Duration::ZERO } else { Duration::from_millis(args.every.into()) };
    let outcome = boot.run(args.bare, every)?;
    let good = outcome.good() && (every.is_zero() || outcome.looks > 0);
    let good = good && (!args.events || outcome.events.is_some());
    print(&(told(args, args.bare, &outcome) + if good { "good\n" } else { "not good\n" }))?;
    Ok(verdict(good))
}

const fn verdict(good: bool) -> Status {
    if good { Status::Same } else { Status::Diverged }
}

/// What is told of a boot.
fn told(args: &Linux, bare: bool, outcome: &Outcome) -> String {
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
        let _ = writeln!(text, "  userspace after {:.2} s", time.as_secs_f64());
    }
    let word = |good: bool| if good { "ok" } else { "FAILED" };
    for (name, good) in &said.steps {
        let rate = said.rates.iter().find(|rate| rate.name == *name);
        let rate = rate.map_or_else(String::new, |rate| format!("{:.0} MiB/s", rate.mib_per_second));
        let _ = writeln!(text, "{}", format!("  {:<7} {name:<15} {rate}", word(*good)).trim_end());
    }
    if let Some(written) = outcome.written {
        let what = "written         the disk's file holds what the guest had to write";
        let _ = writeln!(text, "  {:<7} {what}", word(written));
        if said.verdict.is_none() {
            let _ = writeln!(text, "  FAILED  the guest did not come to its verdict");
        }
    }
    said.notes.iter().for_each(|note| text.push_str(&format!("  {note}\n")));
    if outcome.looks > 0 {
        let _ =
            writeln!(text, "  {} looks at all tables, {} findings", outcome.looks, outcome.findings.len());
    }
    if let Some(events) = outcome.events {
        let _ = writeln!(text, "  {events} events judged");
    }
    for (finding, detail) in outcome.findings.iter().zip(&outcome.details) {
        let _ = writeln!(text, "  {finding}");
        detail.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
    }
    text
}

/// The two boots beside each other, as ratios.
fn compared(bare: &Outcome, under: &Outcome) -> String {
    let mut text = format!("{:<16} {:>10} {:>10} {:>8}\n", "", "alone", "under hyp", "ratio");
    let mut row = |name: &str, unit: &str, alone: f64, under: f64| {
        let ratio = under / alone;
        let _ = writeln!(text, "{name:<16} {alone:>10.2} {under:>10.2} {ratio:>8.2}  {unit}");
    };
    if let (Some(alone), Some(under)) = (bare.said.userspace, under.said.userspace) {
        row("userspace", "s, less is better", alone.as_secs_f64(), under.as_secs_f64());
    }
    for alone in &bare.said.rates {
        if let Some(under) = under.said.rates.iter().find(|under| under.name == alone.name) {
            row(&alone.name, "MiB/s, more is better", alone.mib_per_second, under.mib_per_second);
        }
    }
    text
}
