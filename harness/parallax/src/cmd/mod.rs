//! The subcommands, one a module, and the table of them.

mod accept;
mod attach;
mod attack;
mod bench;
mod beside;
mod bisect;
mod build;
mod check;
mod coverage;
mod diff;
mod doctor;
mod dump;
mod events;
mod explain;
mod explore;
mod faults;
mod fuzz;
mod gdb;
mod kinds;
mod linux;
mod man;
mod mutants;
mod nightly;
mod nothing_found;
mod output;
mod outputs;
mod progress;
mod report;
mod review;
mod run;
mod schedules;
mod schema;
mod shell;
mod stale;
mod watch;

use anyhow::{Error, Result};
use clap::{CommandFactory, Parser, Subcommand};
use parallax_engine::status::{Failure, Status};
use parallax_machine::MachineError;
use parallax_machine::recording::RecordingError;
use parallax_suite::cases::SuiteError;

pub use self::stale::note;
use crate::cli::{self, EXIT_STATUS, STYLES};

/// Watches one memory from two sides: the CPU's stage-2 tables and the SMMU's.
#[derive(Debug, Parser)]
#[command(name = "parallax", version, styles = STYLES, max_term_width = 110, after_help = EXIT_STATUS)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The table: a line of help, the name with its arguments, what stands below the help, and what it does.
macro_rules! commands {
    ($(#[doc = $help:literal] $name:ident($args:ty), $example:expr => $run:expr;)*) => {
        /// What to do.
        #[derive(Debug, Subcommand)]
        pub enum Command {
            $(#[doc = $help] #[command(after_help = $example)] $name($args),)*
        }

        impl Command {
            fn run(&self) -> Result<Status> {
                match self {
                    $(Self::$name(args) => ($run)(args),)*
                }
            }
        }
    };
}

commands! {
    /// Perform traces, check every state, and compare with the goldens
    Run(cli::Run), cli::run::EXAMPLE => run::run;
    /// Perform traces again at each save of a source, and show what differs from the goldens
    Watch(cli::Watch), cli::watch::EXAMPLE => watch::watch;
    /// Take results that differ from their goldens
    Accept(cli::Accept), cli::accept::EXAMPLE => accept::accept;
    /// Go through results that wait for a review, old and new side by side, in a terminal
    Review(cli::Review), cli::review::EXAMPLE => review::review;
    /// Find the commit that broke a trace, then the operation, the entry and the store
    Bisect(cli::Bisect), cli::bisect::EXAMPLE => bisect::bisect;
    /// Let a hostile host attack the hypervisor: random operations from a seed, all states checked
    Attack(cli::Attack), cli::attack::EXAMPLE => attack::attack;
    /// Perform every operation in every state of a few pages, as the specification has them, all states checked
    Explore(cli::Explore), cli::explore::EXAMPLE => explore::explore;
    /// Perform weighted random operations that know the state, all states checked, guided by coverage
    Fuzz(cli::Fuzz), cli::fuzz::EXAMPLE => fuzz::fuzz;
    /// Perform two operations at once, under chosen and random schedules: which CPU runs until which point
    Schedules(cli::Schedules), cli::schedules::EXAMPLE => schedules::schedules;
    /// Print what each call needs, how it is refused, and what it does
    Spec(cli::Spec), cli::explore::SPEC_EXAMPLE => explore::spec;
    /// Show the tables of both sides after an operation
    Dump(cli::Dump), cli::dump::EXAMPLE => dump::dump;
    /// Show the tables of a QEMU that somebody else started, whatever runs at EL2 there
    Attach(cli::Attach), cli::attach::EXAMPLE => attach::attach;
    /// Compare what two traces or recordings did
    Diff(cli::Diff), cli::diff::EXAMPLE => diff::diff;
    /// Judge the order of events in a Casemate file
    Check(cli::Check), cli::check::EXAMPLE => check::check;
    /// List what the hypervisor did during each operation: stores, invalidations, barriers, instructions
    Events(cli::Events), cli::events::EXAMPLE => events::events;
    /// Show which stores of an operation changed tables, from where in the source, and what invalidation followed
    Explain(cli::Explain), cli::explain::EXAMPLE => explain::explain;
    /// List the lines of the hypervisor that no trace reaches
    Coverage(cli::Coverage), cli::coverage::EXAMPLE => coverage::coverage;
    /// Make small changes of the hypervisor, one at a time, and see whether the traces notice
    Mutants(cli::Mutants), cli::mutants::EXAMPLE => mutants::mutants;
    /// Do what takes too long for every change, and keep a history of it with a page
    Nightly(cli::Nightly), cli::nightly::EXAMPLE => nightly::nightly;
    /// Serve gdb: a trace that is performed, or a recording that also goes back
    Gdb(cli::Gdb), cli::gdb::EXAMPLE => gdb::gdb;
    /// Write a recording as a page that opens from disk, or as a trace for Perfetto
    Report(cli::Report), cli::report::EXAMPLE => report::report;
    /// Build the hypervisor and the test host
    Build(cli::Build), cli::tools::BUILD_EXAMPLE => build::build;
    /// List the faults that can be switched on, and the traces that catch them
    Faults(cli::Faults), cli::tools::FAULTS_EXAMPLE => faults::faults;
    /// Run an unmodified Linux as the hypervisor's host, with disks and a network behind the SMMU
    Linux(cli::Linux), cli::linux::EXAMPLE => linux::linux;
    /// Measure how fast it is, as ratios within one run
    Bench(cli::Bench), cli::bench::EXAMPLE => bench::bench;
    /// List what is missing on this machine, and the command that mends it
    Doctor(cli::Doctor), cli::tools::DOCTOR_EXAMPLE => doctor::doctor;
    /// Print the JSON Schema of what is printed as JSON, or list what there is
    Schema(cli::Schema), cli::tools::SCHEMA_EXAMPLE => schema::schema;
    /// Print what a shell needs to complete this command
    Completions(cli::Completions), cli::tools::COMPLETIONS_EXAMPLE => |args| shell::completions(args, Cli::command());
    /// Print the manual page, or write those of all subcommands
    Man(cli::Man), cli::tools::MAN_EXAMPLE => |args| shell::manual(args, Cli::command());
}

/// Does what the command line says.
///
/// # Errors
/// What kept it from doing so; a [`parallax_engine::status::Failure`] knows its exit status.
pub fn main(cli: &Cli) -> Result<Status> {
    crate::interrupt::large_files_are_errors()?;
    parallax_machine::room::watch()?;
    cli.command.run()
}

/// The exit status that `error` asks for: that of the outermost of its causes that has one.
#[must_use]
pub fn status_of(error: &Error) -> Status {
    error.chain().find_map(known).unwrap_or(Status::Setup)
}

/// The exit status of a `cause`, if it is of a kind that has one.
fn known(cause: &(dyn std::error::Error + 'static)) -> Option<Status> {
    let failure = cause.downcast_ref::<Failure>().map(|failure| failure.status);
    let machine = || cause.downcast_ref::<MachineError>().map(|error| error.class().into());
    let recording = || cause.downcast_ref::<RecordingError>().map(|error| error.class().into());
    let suite = || cause.downcast_ref::<SuiteError>().map(SuiteError::status);
    failure.or_else(machine).or_else(recording).or_else(suite)
}

#[cfg(test)]
mod tests;
