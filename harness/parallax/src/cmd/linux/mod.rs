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

mod boot;
mod cpio;
mod disks;
mod guest;
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
    let cancel = interrupt::token()?;
    let root = project::root(&[])?;
    let variant = if args.fault.is_some() { Variant::Faults } else { Variant::Normal };
    let images = toolchain::build(&root, variant, &cancel);
    let images = images.map_err(|error| Failure::from(MachineError::from(error)))?;
    let boot = Boot { args, folder: &root.join("target/linux"), images: &images, cancel: &cancel };
    if args.compare {
        let (bare, under) = (boot.run(true, Duration::ZERO)?, boot.run(false, Duration::ZERO)?);
        print(&(told(args, true, &bare) + &told(args, false, &under) + &compared(&bare, &under)))?;
        return Ok(verdict(bare.good() && under.good()));
    }
    let every = if args.bare { Duration::ZERO } else { Duration::from_millis(args.every.into()) };
    let outcome = boot.run(args.bare, every)?;
    let good = outcome.good() && (every.is_zero() || outcome.looks > 0);
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
    if let Some(written) = &outcome.written {
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
    outcome.findings.iter().for_each(|finding| text.push_str(&format!("  {finding}\n")));
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
