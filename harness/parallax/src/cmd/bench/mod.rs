//! `parallax bench`: how fast it is, as ratios within one run.
//!
//! Four questions: how many operations a second with and without looking (and how many when gdb does the looking), what
//! an operation costs in stream mode and whether that depends on how much is mapped, how long one look takes, and
//! how many instructions the hypervisor spends on an operation.

mod cpu_time;
mod dumps;
mod gdb;
mod instructions;
mod rates;
mod volume;

use std::path::PathBuf;

use anyhow::Result;
use parallax_abi::mailbox::{Request, op};
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_machine::toolchain::{self, BuiltImages, Variant};
use parallax_machine::{BootOptions, CancellationToken, Live, MachineError};
use parallax_trace::spec::MachineSpec;

use super::print;
use crate::cli::{Bench, BenchWhat};
use crate::interrupt;

/// Page frame that the measured operations work on: memory that nothing else uses.
const PFN: u64 = 0x4_4100;

/// What the measurements share.
struct Setup {
    images: BuiltImages,
    pagewatch: PathBuf,
    cancel: CancellationToken,
    quick: bool,
}

impl Setup {
    fn boot(&self, config: &MachineSpec) -> Result<Live, Failure> {
        let options = BootOptions { cancel: self.cancel.clone(), ..BootOptions::default() };
        Live::boot(config.clone(), &self.images, options).map_err(Failure::from)
    }

    /// As [`Self::boot`], with the plugin.
    fn boot_watched(&self, config: &MachineSpec) -> Result<Live, Failure> {
        let (cancel, pagewatch) = (self.cancel.clone(), Some(self.pagewatch.clone()));
        let options = BootOptions { cancel, pagewatch, ..BootOptions::default() };
        Live::boot(config.clone(), &self.images, options).map_err(Failure::from)
    }

    /// `full`, or a tenth of it for a quick look.
    const fn scaled(&self, full: usize) -> usize {
        if self.quick { full.div_ceil(10) } else { full }
    }
}

/// Runs it.
pub(super) fn bench(args: &Bench) -> Result<Status> {
    if let Some(BenchWhat::Linux(args)) = &args.what {
        return super::linux::bench(args);
    }
    let cancel = interrupt::token()?;
    let root = project::root(&[])?;
    let images = toolchain::build(&root, Variant::Normal, &cancel);
    let images = images.map_err(|error| Failure::from(MachineError::from(error)))?;
    let pagewatch = toolchain::plugin(&root, &cancel).map_err(MachineError::from).map_err(Failure::from)?;
    let setup = Setup { images, pagewatch, cancel, quick: args.quick };
    print(&rates::measure(&setup)?)?;
    print(&volume::measure(&setup)?)?;
    print(&dumps::measure(&setup)?)?;
    print(&instructions::measure(&setup)?)?;
    Ok(Status::Same)
}

/// A hypercall on CPU 0.
fn hypercall(id: u64, args: &[u64]) -> Request {
    let mut request = Request { cpu: 0, op: op::HYPERCALL, args: [0; 7] };
    request.args[0] = id;
    for (slot, arg) in request.args[1..].iter_mut().zip(args) {
        *slot = *arg;
    }
    request
}

/// A table whose columns behind the first are numbers.
fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    super::table(&header.map(String::from), rows, 1)
}
