//! `parallax bench`: how fast it is, as ratios within one run.

use std::time::Duration;

use anyhow::Result;
use parallax_bench::document::Benched;
use parallax_bench::instructions;
use parallax_bench::linux::{self, Comparison};
use parallax_bench::targets::{self, Column};
use parallax_bench::{MEASUREMENTS, Setup, volume};
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_linux::LinuxSpec;

use super::output::{print, print_document};
use super::run::target;
use crate::cli::{Bench, BenchLinux, BenchWhat, distinct};
use crate::interrupt;

/// Runs it.
pub(super) fn bench(args: &Bench) -> Result<Status> {
    if let Some(BenchWhat::Linux(args)) = &args.what {
        return bench_linux(args);
    }
    let cancel = interrupt::token()?;
    let root = project::root(&[])?;
    distinct(&args.target)?;
    if !args.target.is_empty() {
        let mut columns = Vec::new();
        for on in &args.target {
            let [plain, watched] = target::both(on, &root, &cancel)?;
            columns.push(Column { name: on.to_string(), plain, watched });
        }
        let benched = targets::measure(&columns, args.quick, &cancel)?;
        if args.format.is_json() {
            print_document(&benched)?;
        } else {
            print(&targets::text(&benched))?;
        }
        return Ok(Status::Same);
    }
    if args.rates && !args.format.is_json() {
        return Err(Failure::usage("--rates goes with --format json: the text has them anyhow").into());
    }
    let setup = Setup::build(&root, args.quick, cancel)?;
    if args.format.is_json() {
        let rates = if args.rates { volume::of_bare(&setup)? } else { Vec::new() };
        print_document(&Benched::new(instructions::of_operations(&setup)?, rates))?;
        return Ok(Status::Same);
    }
    for measure in MEASUREMENTS {
        print(&measure(&setup)?)?;
    }
    Ok(Status::Same)
}

fn bench_linux(args: &BenchLinux) -> Result<Status> {
    let cancel = interrupt::token()?;
    let root = project::root(&[])?;
    let comparison = Comparison {
        machine: LinuxSpec::from(&args.machine),
        rounds: args.rounds,
        limit: Duration::from_secs(args.machine.timeout.into()),
    };
    let measured = linux::measure(&comparison, &root, &cancel)?;
    print(&measured.text)?;
    Ok(if measured.good { Status::Same } else { Status::Diverged })
}
