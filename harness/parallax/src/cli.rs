//! The command line.

mod accept;
mod attack;
mod bench;
mod bisect;
mod check;
mod coverage;
mod cpus;
mod diff;
mod dump;
mod events;
mod explain;
mod fault;
mod gdb;
mod linux;
mod linux_machine;
mod report;
mod review;
mod run;
#[cfg(test)]
mod tests;
mod tools;

use anstyle::{AnsiColor, Style};
use clap::builder::Styles;
use clap::{Parser, Subcommand};

pub use self::accept::Accept;
pub use self::attack::Attack;
pub use self::bench::{Bench, BenchLinux, BenchWhat};
pub use self::bisect::{Bisect, BisectFormat};
pub use self::check::Check;
pub use self::coverage::Coverage;
pub use self::diff::{Diff, Ignore};
pub use self::dump::{Dump, DumpView};
pub use self::events::Events;
pub use self::explain::Explain;
pub use self::gdb::Gdb;
pub use self::linux::Linux;
pub use self::linux_machine::LinuxMachine;
pub use self::report::Report;
pub use self::review::Review;
pub use self::run::{Run, Target};
pub use self::tools::{Build, Completions, Doctor, Faults, Man, Schema};

/// How the word `error:` looks.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// How every command ends, unless its own help says more.
pub(crate) const EXIT_STATUS: &str = "\
Exit status: 0 as agreed, 1 diverged or a check failed, 2 usage or malformed input,
125 could not build or start, 130 interrupted.";

/// Watches one memory from two sides: the CPU's stage-2 tables and the SMMU's.
#[derive(Debug, Parser)]
#[command(name = "parallax", version, styles = STYLES, max_term_width = 110, after_help = EXIT_STATUS)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Perform traces, check every state, and compare with the goldens
    #[command(after_help = run::EXAMPLE)]
    Run(Run),
    /// Take results that differ from their goldens
    #[command(after_help = accept::EXAMPLE)]
    Accept(Accept),
    /// Go through results that wait for a review, old and new side by side, in a terminal
    #[command(after_help = review::EXAMPLE)]
    Review(Review),
    /// Find the commit that broke a trace, then the operation, the entry and the store
    #[command(after_help = bisect::EXAMPLE)]
    Bisect(Bisect),
    /// Let a hostile host attack the hypervisor: random operations from a seed, all states checked
    #[command(after_help = attack::EXAMPLE)]
    Attack(Attack),
    /// Show the tables of both sides after an operation
    #[command(after_help = dump::EXAMPLE)]
    Dump(Dump),
    /// Compare what two traces or recordings did
    #[command(after_help = diff::EXAMPLE)]
    Diff(Diff),
    /// Judge the order of events in a Casemate file
    #[command(after_help = check::EXAMPLE)]
    Check(Check),
    /// Tell what the hypervisor did during each operation: stores, invalidations, barriers, instructions
    #[command(after_help = events::EXAMPLE)]
    Events(Events),
    /// Tell which stores of an operation changed tables, from where in the source, and what invalidation followed
    #[command(after_help = explain::EXAMPLE)]
    Explain(Explain),
    /// Tell which lines of the hypervisor no trace reaches
    #[command(after_help = coverage::EXAMPLE)]
    Coverage(Coverage),
    /// Serve gdb: a trace that is performed, or a recording that also goes back
    #[command(after_help = gdb::EXAMPLE)]
    Gdb(Gdb),
    /// Write a recording as a page that opens from disk, or as a trace for Perfetto
    #[command(after_help = report::EXAMPLE)]
    Report(Report),
    /// Build the hypervisor and the test host
    #[command(after_help = tools::BUILD_EXAMPLE)]
    Build(Build),
    /// List the faults that can be switched on, and the traces that catch them
    #[command(after_help = tools::FAULTS_EXAMPLE)]
    Faults(Faults),
    /// Run an unmodified Linux as the hypervisor's host, with disks and a network behind the SMMU
    #[command(after_help = linux::EXAMPLE)]
    Linux(Linux),
    /// Measure how fast it is, as ratios within one run
    #[command(after_help = bench::EXAMPLE)]
    Bench(Bench),
    /// Tell what is missing on this machine, and the command that mends it
    #[command(after_help = tools::DOCTOR_EXAMPLE)]
    Doctor(Doctor),
    /// Print the JSON Schema of what is printed as JSON, or list what there is
    #[command(after_help = tools::SCHEMA_EXAMPLE)]
    Schema(Schema),
    /// Print what a shell needs to complete this command
    #[command(after_help = tools::COMPLETIONS_EXAMPLE)]
    Completions(Completions),
    /// Print the manual page, or write those of all subcommands
    #[command(after_help = tools::MAN_EXAMPLE)]
    Man(Man),
}
