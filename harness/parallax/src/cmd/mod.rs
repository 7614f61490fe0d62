//! The subcommands, one a module.

mod accept;
mod attack;
mod bench;
mod bisect;
mod build;
mod check;
mod coverage;
mod diff;
mod doctor;
mod dump;
mod events;
mod explain;
mod faults;
mod gdb;
mod linux;
mod man;
mod output;
mod progress;
mod report;
mod review;
mod run;
mod schema;
mod shell;

use anyhow::Result;
use parallax_engine::status::Status;

use crate::cli::{Cli, Command};

/// Does what the command line says.
///
/// # Errors
/// What kept it from doing so; a [`parallax_engine::status::Failure`] knows its exit status.
pub fn main(cli: Cli) -> Result<Status> {
    match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Accept(args) => accept::accept(&args),
        Command::Review(args) => review::review(&args),
        Command::Bisect(args) => bisect::bisect(&args),
        Command::Attack(args) => attack::attack(&args),
        Command::Dump(args) => dump::dump(&args),
        Command::Diff(args) => diff::diff(&args),
        Command::Check(args) => check::check(&args),
        Command::Coverage(args) => coverage::coverage(&args),
        Command::Events(args) => events::events(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Gdb(args) => gdb::gdb(&args),
        Command::Report(args) => report::report(&args),
        Command::Build(args) => build::build(&args),
        Command::Faults(args) => faults::faults(&args),
        Command::Linux(args) => linux::linux(&args),
        Command::Bench(args) => bench::bench(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Schema(args) => schema::schema(&args),
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::manual(&args),
    }
}
