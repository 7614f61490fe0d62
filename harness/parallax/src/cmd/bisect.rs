//! `parallax bisect`: which commit broke a trace, and by which operation, entry and store.
//!
//! ```text
//! traces/good/donate.trace: the first bad commit of 10 is
//!   3f2a1b...  hyp: fewer invalidations
//!
//! first bad operation
//!   line 4: host_donate_hyp pfn=ram+0x20
//! ```
//!
//! With `--kernels` or `--kernel-cmd` it is one of several kernels, and their pKVM is what is tried.
//!
//! The hypervisor and the test host come from each revision; the harness, the plugin and (but for `--by range`) the
//! trace and its golden are those of the working tree.

mod kernels;
mod made;

use anyhow::Result;
use parallax_engine::status::Status;
use parallax_suite::bisect::{Request, bisect as search};

use super::output::{print, print_as_it_is};
use crate::cli::{self, BisectFormat};
use crate::interrupt;

/// Runs it.
pub(super) fn bisect(args: &cli::Bisect) -> Result<Status> {
    let cancel = interrupt::token()?;
    if args.kernels.is_some() || args.kernel_cmd.is_some() {
        return kernels::bisect(args, &cancel);
    }
    let request = Request {
        good: args.good.clone().unwrap_or_default(),
        bad: args.bad.clone(),
        trace: args.trace.clone(),
        by: args.by,
        mode: args.mode,
        machine: args.machine.clone(),
        keep: args.keep,
    };
    let report = search(&request, &cancel)?;
    match args.format {
        BisectFormat::Human => print(&report.human())?,
        BisectFormat::Markdown => print(&report.markdown())?,
        BisectFormat::Json => print_as_it_is(&report.json()?)?,
    }
    Ok(if report.first_bad.len() == 1 { Status::Same } else { Status::Diverged })
}
